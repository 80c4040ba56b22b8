#!/bin/sh
# The guess: the reader of C2PA's own library accepts the certificates that C2PA 2 asks for, with the
#   extended key usage for claim signing (1.3.6.1.4.1.62558.2.1), or the one for documents (RFC 9336).
# What happens: it takes only the older purpose for e-mail. With both others, signing fails ("missing
#   required EKU"), because the library reads its work again. Once the setting `trust.trust_config`
#   lists them, signing works, and a reader with the default settings calls the picture invalid.
# Whom it hurts: whoever buys the certificate that the specification names: the own program signs after
#   a change of its settings, and everybody else's reader says that the picture is not to be believed.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check c2pa-python==0.38.1 cryptography==50.0.2 \
  pillow==13.0.0 2>/dev/null
"$work/venv/bin/python" - <<'PYTHON'
import io
import json
import sys
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from c2pa import Builder, C2paError, C2paSignerInfo, Context, Reader, Signer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image

print("c2pa-python", version("c2pa-python"), "cryptography", version("cryptography"))
PURPOSES = {
    "e-mail": "1.3.6.1.5.5.7.3.4",
    "documents": "1.3.6.1.5.5.7.3.36",
    "claim signing": "1.3.6.1.4.1.62558.2.1",
}
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MADE = {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE}]}
CLAIM = {
    "claim_generator_info": [{"name": "example", "version": "1"}],
    "title": "a picture",
    "assertions": [{"label": "c2pa.actions.v2", "data": MADE}],
}
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
picture = io.BytesIO()
Image.new("RGB", (64, 64), "teal").save(picture, "PNG")


def named(name):
    names = [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in names])


def certificate(name, key, issuer, issuer_key, purpose=None):
    """Return a certificate of an authority, or one for a purpose."""
    now, is_authority = datetime.now(timezone.utc), purpose is None
    public, issuer_public = key.public_key(), issuer_key.public_key()
    usage = {
        field: False
        for field in (
            *("digital_signature", "content_commitment", "key_encipherment", "key_agreement"),
            *("data_encipherment", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        )
    }
    usage |= {"key_cert_sign": True} if is_authority else {"digital_signature": True}
    builder = (
        x509.CertificateBuilder(named(issuer), named(name), public, x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False
        )
    )
    if purpose is not None:
        purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose)])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed(purpose, settings):
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("root", root_key, "root", root_key)
    leaf = certificate("signer", key, "root", root_key, purpose)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    signer = Signer.from_info(C2paSignerInfo(b"es256", leaf + root, pem, None))
    result = io.BytesIO()
    with Context.from_dict(settings, signer) as context, Builder(CLAIM, context) as builder:
        builder.sign("image/png", io.BytesIO(picture.getvalue()), result)
    return result.getvalue()


def verdict(data, settings):
    """Return the state of a signed picture, and the codes about its certificate."""
    with Context.from_dict(settings) as context:
        with Reader("image/png", io.BytesIO(data), context=context) as reader:
            store = json.loads(reader.json())
    codes = {status["code"] for status in store.get("validation_status", [])}
    return store["validation_state"], sorted(c for c in codes if c.startswith("signingCredential"))


def refusal(purpose):
    """Return what is said against a purpose when a picture is signed; None: it is signed."""
    try:
        signed(purpose, OFFLINE)
    except C2paError as error:
        return "missing required EKU" if "missing required EKU" in str(error) else str(error)


listing = {**OFFLINE, "trust": {"trust_config": "\n".join(PURPOSES.values())}}
found = {}
for name, purpose in PURPOSES.items():
    data = signed(purpose, listing)
    found[name] = refusal(purpose), verdict(data, OFFLINE), verdict(data, listing)
    refused, without, listed = found[name]
    print(f"{name}: refused: {refused}\n  read: {without}\n  with the purposes listed: {listed}")
invalid = ("Invalid", ["signingCredential.invalid", "signingCredential.untrusted"])
accepted = ("Valid", ["signingCredential.untrusted"])  # valid, by an authority that nobody named
newer = ("missing required EKU", invalid, accepted)
same = found == {
    "e-mail": (None, accepted, accepted),
    "documents": newer,
    "claim signing": newer,
}
sys.exit(0 if same else 1)
PYTHON
