"""The signing certificate and its key: read, checked against each other, never shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pipelines.config.variables import is_variable, variables_in
from pipelines.errors import ConfigError
from pipelines.provenance.certificate_rules import check_chain
from uso_core.local_path import local_path, tried_path

_SECTION = "output.provenance"
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_LEAST_RSA_BITS = 2048
_PEM = b"-----BEGIN"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_DER = b"\x30\x82"  # a sequence of over 255 bytes, as every certificate is


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signing certificate.

    Attributes:
        chain: PEM of the certificate, then its intermediate certificates.
        algorithm: C2PA's name of the signature algorithm that its key has: `es256`, `es384`,
            `es512`, `ps256` or `ed25519`.
        public_key: its public key, as DER.
        where: the file, for messages.
    """

    chain: str
    algorithm: str
    public_key: bytes = field(repr=False)
    where: str

    @classmethod
    def read(cls, location: str) -> Certificate:
        """Read `output.provenance.certificate`.

        Raises:
            ConfigError: the file cannot be used, or the chain breaks C2PA's rules.
        """
        where = f"{_SECTION}.certificate: {location}{tried_path(location)}"
        chain = _certificates(location, where)
        key = chain[0].public_key()
        algorithm = _algorithm(key, where)
        check_chain(chain, where)
        return cls(_as_pem(chain), algorithm, _der(key), where)


def read_key(key: str, certificate: Certificate) -> bytes:
    """Return the private key of `output.provenance.key`, as PEM (PKCS #8).

    Args:
        key: a path, or `${NAME}` for a variable of this process.
        certificate: the certificate that it belongs to.

    Raises:
        ConfigError: there is no key, or it is that of another certificate. The message shows
            nothing of it.
    """
    where = f"{_SECTION}.key: {key}{'' if is_variable(key) else tried_path(key)}"
    if is_variable(key):
        (name,) = variables_in(key)
        if name not in os.environ:
            raise ConfigError(
                f"{where}: the variable is not set on this machine; set it where actors run, for "
                "example with ray.env"
            )
        data = os.environ[name].encode()
    else:
        data = _content(key, where)
    if _PEM not in data:
        raise ConfigError(f"{where}: is not in PEM; convert it with `openssl pkey`")
    try:
        private = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise ConfigError(
            f"{where}: has a password; store it without one (`openssl pkey`)"
        ) from None
    except Exception:  # noqa: BLE001 (whatever it says may hold parts of the key)
        raise ConfigError(f"{where}: holds no private key that can be read") from None
    public = private.public_key()
    if _der(public) != certificate.public_key:
        raise ConfigError(
            f"{where}: is not the key of the first certificate in {certificate.where}; give the "
            "signing certificate first, and its own key"
        )
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_anchors(location: str, option: str = "--trust") -> str:
    """Return the root certificates in a PEM file, for `read_store`.

    Raises:
        ConfigError: the file holds none.
    """
    return _as_pem(_certificates(location, f"{option} {location}"))


def _certificates(location: str, where: str) -> list[x509.Certificate]:
    data = _content(location, where)
    if not data.strip():
        raise ConfigError(f"{where}: is empty")
    if data.startswith(_DER):
        raise ConfigError(f"{where}: is in DER; convert it with `openssl x509 -inform DER`")
    if _CERTIFICATE not in data:
        raise ConfigError(
            f"{where}: holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
        )
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ConfigError(f"{where}: holds a damaged certificate ({error})") from error


def _as_pem(certificates: list[x509.Certificate]) -> str:
    parts = (each.public_bytes(serialization.Encoding.PEM) for each in certificates)
    return b"".join(parts).decode()


def _content(location: str, where: str) -> bytes:
    try:
        return local_path(location).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{where}: cannot be read ({error.strerror}); it must be on each machine that runs "
            "actors"
        ) from error


def _algorithm(key: object, where: str) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return "ps256"
    raise ConfigError(
        f"{where}: C2PA has no signatures for its kind of key; it takes EC keys on P-256, P-384 "
        f"and P-521, Ed25519, and RSA of {_LEAST_RSA_BITS} bits and more"
    )


def _der(key: object) -> bytes:
    assert hasattr(key, "public_bytes")
    der: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der
