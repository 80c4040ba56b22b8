"""Certificate chains of other CAs: with intermediates, and keys of several kinds in one chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Flaw = Literal["expired", "not a ca", "another key", "ca", "no usage"]
KEYS: dict[str, Callable[[], Any]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "weak": lambda: rsa.generate_private_key(65537, 1024),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Chain:
    certificate: Path
    key: Path
    root: Path
    private: Any

    @property
    def anchors(self) -> str:
        return self.root.read_text()


def make_chain(
    folder: Path,
    kind: str = "es256",
    *,
    issuers: str | None = None,
    intermediates: int = 1,
    days: int = 30,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    flaw: Flaw | None = None,
) -> Chain:
    """Make a chain whose signing key is of one kind, and the keys above it of another.

    With a flaw, its intermediate certificates are `expired`, `not a ca`, or state `another key`
    than the one that signed; or the signing certificate is a `ca`, or has `no usage`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    above = issuers or kind
    key = KEYS[above]()
    root = _issue("Root", key, "Root", key, is_ca=True)
    name, pems = "Root", [_pem(root)]
    chain: list[bytes] = []
    for number in range(intermediates):
        next_key = KEYS[above]()
        stated = KEYS[above]() if flaw == "another key" else next_key
        days_left = -1 if flaw == "expired" else 365
        issuer = _issue(
            f"Issuing {number}", stated, name, key, is_ca=flaw != "not a ca", days=days_left
        )
        chain.insert(0, _pem(issuer))
        key, name = next_key, f"Issuing {number}"
    own = KEYS[kind]()
    leaf = _issue(
        "Photo Lab",
        own,
        name,
        key,
        is_ca=flaw == "ca",
        days=days,
        purpose=purpose,
        has_usage=flaw != "no usage",
    )
    made = Chain(folder / "chain.pem", folder / "key.pem", folder / "root.pem", own)
    made.certificate.write_bytes(b"".join([_pem(leaf), *chain]))
    made.root.write_bytes(b"".join(pems))
    made.key.write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _issue(
    subject: str,
    key: Any,
    issuer: str,
    issuer_key: Any,
    *,
    is_ca: bool,
    days: int = 365,
    purpose: x509.ObjectIdentifier | None = None,
    has_usage: bool = True,
) -> x509.Certificate:
    now = datetime.now(timezone.utc)
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    usage |= {"key_cert_sign": True, "crl_sign": True} if is_ca else {"digital_signature": True}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if has_usage:
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    is_edwards = isinstance(issuer_key, ed25519.Ed25519PrivateKey)
    is_long = isinstance(issuer_key, ec.EllipticCurvePrivateKey) and issuer_key.key_size > 512
    digest = hashes.SHA512() if is_long else hashes.SHA256()
    return builder.sign(issuer_key, None if is_edwards else digest)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Another CA"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
