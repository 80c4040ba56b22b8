"""A signer at a URL: its protocol, its failures, and the secrets that stay out of messages."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from pipelines.errors import ConfigError
from pipelines.failures import RowFailedError
from pipelines.provenance.reading import read_manifest
from tests.pipelines import http_origin as http
from tests.pipelines.provenance.chains import Chain, make_chain
from tests.pipelines.provenance.signed import claim, encoded, signer_with

Sign = Callable[[bytes], bytes]
ONCE = {"signer_attempts": 1, "signer_timeout_s": 2}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


def signing(origin: http.Origin, sign: Sign) -> http.Answer:
    """An answer that signs the body of its request."""

    def answer(connection: socket.socket) -> None:
        http.ok(sign(origin.bodies[-1]))(connection)

    return answer


def _der(chain: Chain) -> Sign:
    return lambda data: chain.private.sign(data, ec.ECDSA(hashes.SHA256()))


def _raw(chain: Chain) -> Sign:
    def sign(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(_der(chain)(data))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def _pss(chain: Chain) -> Sign:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
    return lambda data: chain.private.sign(data, pss, hashes.SHA256())


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("es256", _der),
        ("es256", _raw),
        ("ps256", _pss),
        ("ed25519", lambda chain: chain.private.sign),
    ],
)
def test_a_signer_gets_the_bytes_and_gives_the_signature(
    tmp_path: Path,
    origin: http.Origin,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    sign: Callable[[Chain], Sign],
) -> None:
    chain = make_chain(tmp_path, kind)
    monkeypatch.setenv("USO_TEST_TOKEN", "open-sesame")
    url = origin.on("/sign", signing(origin, sign(chain)))
    signer = signer_with(chain, signer=url, signer_token="${USO_TEST_TOKEN}")
    found = read_manifest(
        signer.sign(encoded("png"), "image/png", claim()), "image/png", chain.anchors
    )
    assert found is not None
    assert (found.problems, found.trust) == ((), "trusted")
    (head,) = origin.requests
    lines = head.lower().split("\r\n")
    assert lines[0].startswith("post /sign ")
    assert f"x-uso-algorithm: {kind}" in lines
    assert "authorization: bearer open-sesame" in lines
    assert "content-type: application/octet-stream" in lines
    assert len(origin.bodies[0]) < 5000  # the claim and the certificates, never the image


def test_passing_troubles_are_waited_out(chain: Chain, origin: http.Origin) -> None:
    url = origin.on("/sign", http.status(503), http.status(429), signing(origin, _der(chain)))
    signed = signer_with(chain, signer=url).sign(encoded("png"), "image/png", claim())
    assert read_manifest(signed, "image/png") is not None
    assert origin.hits["/sign"] == 3


@pytest.mark.parametrize(
    ("answer", "attempts", "words"),
    [
        (http.status(503), 2, "it answers 503 (tried 2 times, of signer_attempts 2)"),
        (http.status(401), 4, "it answers 401 (tried 1 times, of signer_attempts 4)"),
        (http.ok(b""), 1, "its answer is empty"),
        (http.ok(b"x" * 9000), 1, "its answer is longer than a signature"),
        (http.ok(b"x" * 64), 1, "refused to sign: Signature:"),
        (http.ok(b"<html>log in</html>"), 1, "gave no signature that holds"),
    ],
)
def test_a_failure_names_the_signer_and_its_answer(
    chain: Chain, origin: http.Origin, answer: http.Answer, attempts: int, words: str
) -> None:
    url = origin.on("/sign", answer)
    signer = signer_with(chain, signer=url, signer_attempts=attempts)
    with pytest.raises(RowFailedError) as caught:
        signer.sign(encoded("png"), "image/png", claim())
    failure = caught.value.failure
    assert (failure.code, failure.retryable) == ("signing_failed", True)
    assert words in failure.message
    assert f"the signer {url} (output.provenance.signer)" in failure.message


def test_a_signer_that_is_slow_or_away_does_not_hold_a_row(
    chain: Chain, origin: http.Origin
) -> None:
    slow = origin.on("/slow", http.hang)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    for url, words in ((slow, "no answer within 0.5 s"), (away, "ConnectError")):
        signer = signer_with(chain, signer=url, signer_attempts=1, signer_timeout_s=0.5)
        began = time.monotonic()
        with pytest.raises(RowFailedError) as caught:
            signer.sign(encoded("png"), "image/png", claim())
        assert time.monotonic() - began < 2.5
        assert words in str(caught.value)


def test_secrets_stay_out_of_messages_and_logs(
    chain: Chain,
    origin: http.Origin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("USO_TEST_TOKEN", "open-sesame")
    url = origin.on("/sign", http.status(403)).replace("//", "//me:hunter2@")
    signer = signer_with(chain, signer=url, signer_token="${USO_TEST_TOKEN}", signer_attempts=1)
    with pytest.raises(RowFailedError) as caught:
        signer.sign(encoded("png"), "image/png", claim())
    for secret in ("open-sesame", "hunter2"):
        assert secret not in str(caught.value)
        ours = [each.getMessage() for each in caplog.records if each.name.startswith("pipelines")]
        assert secret not in "".join(ours)


def test_a_token_that_is_not_set_is_named(chain: Chain) -> None:
    with pytest.raises(ConfigError, match=r"signer_token: \$\{USO_ABSENT\} is not set"):
        signer_with(chain, signer="http://127.0.0.1:1/", signer_token="${USO_ABSENT}")
