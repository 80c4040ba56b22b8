"""A certificate for trying signatures out: every name in it says that it is a test."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipelines.errors import ConfigError

Algorithm = Literal["es256", "es384", "es512", "ps256", "ed25519"]
_Key: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey"

_ORGANIZATION = "USO Batch TEST, not a real signer"
_DAYS = 365
_MAKE: dict[Algorithm, Callable[[], _Key]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a test certificate.

    Attributes:
        certificate: the signing certificate, then the intermediate one that issued it.
        key: the private key; only its owner can read the file.
        root: the root certificate, for readers that should trust the signatures.
    """

    certificate: Path
    key: Path
    root: Path


def make_test_certificate(folder: Path, algorithm: Algorithm = "es256") -> CertificateFiles:
    """Make a root, an intermediate and a signing certificate; the keys of the first two are lost.

    Args:
        folder: the folder of the files; it may be new.
        algorithm: C2PA's name of the signature algorithm.

    Raises:
        ConfigError: the files exist, or cannot be written.
    """
    made = CertificateFiles(*(folder / f"{name}.pem" for name in ("certificate", "key", "root")))
    for path in (made.certificate, made.key, made.root):
        if path.exists():
            raise ConfigError(f"{path}: exists, and is not overwritten; give another folder")
    root, intermediate, own = (_MAKE[algorithm]() for _ in range(3))
    issued_by_root = _issued("intermediate CA", intermediate, "root CA", root)
    leaf = _issued("signer", own, "intermediate CA", intermediate)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made.certificate.write_bytes(_pem(leaf) + _pem(issued_by_root))
        made.root.write_bytes(_pem(_issued("root CA", root, "root CA", root)))
        descriptor = os.open(made.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(_private_pem(own))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
    return made


def _issued(subject: str, key: _Key, issuer: str, issuer_key: _Key) -> x509.Certificate:
    now, is_ca = datetime.now(timezone.utc), subject != "signer"
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(_usage(is_ca=is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not is_ca:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, _hash_for(issuer_key))


def _hash_for(key: _Key) -> hashes.SHA256 | hashes.SHA512 | None:
    """Return the hash for signatures with a key; Ed25519 has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    # C2PA's library does not trust a root on P-521 that signs with SHA-256.
    is_long = isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 512
    return hashes.SHA512() if is_long else hashes.SHA256()


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"USO Batch TEST {role}"),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
