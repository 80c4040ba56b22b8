"""Certificates and keys that cannot sign are refused, with the reason; others of any CA can."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pipelines.errors import ConfigError
from pipelines.provenance.certificate_rules import PURPOSES
from pipelines.provenance.reading import read_manifest
from tests.pipelines.provenance.chains import Chain, make_chain
from tests.pipelines.provenance.signed import claim, encoded, signer_with


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


@pytest.mark.parametrize(
    ("making", "words"),
    [
        ({"days": -1}, "the certificate is valid from"),
        ({"kind": "weak"}, "has no signatures for its kind of key"),
        ({"kind": "secp256k1"}, "has no signatures for its kind of key"),
        ({"purpose": None}, "CN=Photo Lab.* lacks an extended key usage that C2PA accepts"),
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "lacks an extended key usage that C2PA"),
        (
            {"purpose": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE},
            "lacks an extended key usage that C2PA",
        ),
        ({"flaw": "no usage"}, "lacks the key usage digitalSignature"),
        ({"flaw": "ca"}, "is the certificate of a CA"),
        ({"flaw": "expired"}, "the certificate is valid from .*CN=Issuing 0"),
        ({"flaw": "not a ca"}, "CN=Issuing 0.* is not a CA, so readers trust nothing"),
        ({"flaw": "another key"}, "CN=Issuing 0.* has the name of the issuer of CN=Photo Lab"),
    ],
)
@pytest.mark.parametrize("place", ["key", "signer"])
def test_certificates_that_cannot_sign_are_refused_at_once(
    tmp_path: Path, making: dict[str, object], words: str, place: str
) -> None:
    chain = make_chain(tmp_path, **making)  # type: ignore[arg-type]
    keys = {"signer": "http://127.0.0.1:1/"} if place == "signer" else {}
    with pytest.raises(ConfigError, match=words):
        signer_with(chain, **keys)


@pytest.mark.parametrize("name", PURPOSES)
def test_certificates_of_every_purpose_of_c2pa_sign_and_are_trusted(
    tmp_path: Path, name: str
) -> None:
    chain = make_chain(tmp_path, purpose=x509.ObjectIdentifier(PURPOSES[name]))
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim())
    for anchors, trust in ((None, "untrusted"), (chain.anchors, "trusted")):
        found = read_manifest(signed, "image/png", anchors)
        assert found is not None
        assert (found.problems, found.trust) == ((), trust)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("der", lambda data: base64.b64decode(data.split(b"-----")[2]), "is in DER; convert it"),
        ("empty", lambda _data: b"\n", "is empty"),
        (
            "a key",
            lambda data: data.replace(b"CERTIFICATE", b"PRIVATE KEY"),
            "holds no certificate",
        ),
        ("cut", lambda data: data[:300], "holds a damaged certificate"),
    ],
)
def test_files_that_hold_no_certificate_are_told_apart(
    tmp_path: Path, name: str, content: Callable[[bytes], bytes], words: str
) -> None:
    chain = make_chain(tmp_path)
    chain.certificate.write_bytes(content(chain.certificate.read_bytes()))
    with pytest.raises(ConfigError, match=words) as caught:
        signer_with(chain)
    assert str(chain.certificate) in str(caught.value), name


def test_windows_line_ends_and_text_around_the_blocks_do_no_harm(tmp_path: Path) -> None:
    chain = make_chain(tmp_path)
    for path in (chain.certificate, chain.key):
        text = b"Bag Attributes: none\n" + path.read_bytes()
        path.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    signed = signer_with(chain).sign(encoded("png"), "image/png", claim())
    found = read_manifest(signed, "image/png", chain.anchors)
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")


def test_keys_and_chains_that_do_not_fit_are_refused_without_showing_them(tmp_path: Path) -> None:
    chain, other = make_chain(tmp_path / "a"), make_chain(tmp_path / "b")
    secret = chain.key.read_text().splitlines()[1]
    bad = tmp_path / "bad.pem"
    for content, words in (
        (other.key.read_text(), "is not the key of the first certificate"),
        (chain.certificate.read_text(), "holds no private key"),
        (chain.key.read_text().replace("\n", "\nx", 1), "holds no private key"),
        (secret, "is not in PEM"),
    ):
        bad.write_text(content)
        with pytest.raises(ConfigError, match=words) as caught:
            signer_with(chain, key=str(bad))
        assert secret not in str(caught.value)
        assert str(bad) in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        signer_with(chain, key=str(tmp_path / "absent.pem"))
    leaf, issuer = chain.certificate.read_text().split("-----END CERTIFICATE-----\n")[:2]
    end = "-----END CERTIFICATE-----\n"
    chain.certificate.write_text(leaf + end + other.root.read_text() + issuer + end)
    with pytest.raises(ConfigError, match="give each certificate before its issuer"):
        signer_with(chain)
    chain.certificate.write_text(other.root.read_text())
    with pytest.raises(ConfigError, match="self-signed"):
        signer_with(chain)


def test_a_key_in_a_variable(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="the variable is not set on this machine"):
        signer_with(chain, key="${USO_TEST_SIGNING}")
    monkeypatch.setenv("USO_TEST_SIGNING", chain.key.read_text())
    signed = signer_with(chain, key="${USO_TEST_SIGNING}").sign(
        encoded("png"), "image/png", claim()
    )
    assert read_manifest(signed, "image/png") is not None
