"""C2PA's rules for a signing certificate and its issuers, checked before a run starts.

The library checks the profile of the first certificate alone, and only as it signs. A chain with a
gap signs without a word, and then no reader can trust any image.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from pipelines.errors import ConfigError

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

PURPOSES = {
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "documentSigning": "1.3.6.1.5.5.7.3.36",
    "C2PA claim signing": "1.3.6.1.4.1.62558.2.1",
    "Microsoft's C2PA signing": "1.3.6.1.4.1.311.76.59.1.9",
}
"""Extended key usages, by name; a signing certificate must have one of them."""

_ANY_PURPOSE = "2.5.29.37.0"


def check_chain(chain: Sequence[x509.Certificate], where: str) -> None:
    """Check a signing certificate and the intermediate ones after it.

    Args:
        chain: the signing certificate, then each issuer.
        where: the file, for messages.

    Raises:
        ConfigError: they cannot sign images today, or no reader could follow the chain.
    """
    leaf = chain[0]
    _check_dates(leaf, where)
    if leaf.subject == leaf.issuer:
        raise ConfigError(
            f"{where}: begins with a root certificate; C2PA takes no self-signed one: give the "
            "signing certificate first, then its intermediates"
        )
    if fault := _profile_fault(leaf):
        raise ConfigError(
            f"{where}: {_name(leaf)} {fault}; get a certificate for signing C2PA manifests, or "
            "make a trial one with `uso keys test-ca`"
        )
    for one, issuer in pairwise(chain):
        _check_issued(one, issuer, where)


def _check_dates(certificate: x509.Certificate, where: str) -> None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not first <= datetime.now(timezone.utc) <= last:
        raise ConfigError(
            f"{where}: the certificate is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d} "
            f"({_name(certificate)}); get a new one"
        )


def _profile_fault(leaf: x509.Certificate) -> str | None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        return "is the certificate of a CA, which signs certificates and no images"
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        return "lacks the key usage digitalSignature"
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    found = {each.dotted_string for each in purposes or ()}
    if _ANY_PURPOSE in found or not found.intersection(PURPOSES.values()):
        return f"lacks an extended key usage that C2PA accepts: {', '.join(PURPOSES)}"
    return None


def _check_issued(one: x509.Certificate, issuer: x509.Certificate, where: str) -> None:
    remedy = "give each certificate before its issuer"
    if one.issuer != issuer.subject:
        raise ConfigError(f"{where}: {_name(issuer)} has not issued {_name(one)}; {remedy}")
    _check_dates(issuer, where)
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ConfigError(
            f"{where}: {_name(issuer)} is not a CA, so readers trust nothing that it has issued; "
            f"{remedy}"
        )
    try:
        one.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        return  # readers may know it
    except (InvalidSignature, ValueError, TypeError) as error:
        raise ConfigError(
            f"{where}: {_name(issuer)} has the name of the issuer of {_name(one)}, and another "
            "key; give the certificate that the issuer had then"
        ) from error


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
