from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import socket
import time
from typing import Any

import pytest

from pipelines.config.telemetry import EventKind, NotifyConfig
from pipelines.telemetry.webhook import Event, Receiver, Webhook
from tests.pipelines import http_origin as http
from tests.pipelines.http_origin import Origin

KEY = secrets.token_hex(16)


def webhook(url: str, **config: Any) -> Webhook:
    return Webhook(Receiver(url, KEY.encode()), NotifyConfig.model_validate(config))


def event(kind: EventKind = "start", **payload: Any) -> Event:
    return Event(kind, {"event": kind, **payload})


def bodies(origin: Origin) -> list[dict[str, Any]]:
    return [json.loads(body) for body in origin.bodies]


def headers(origin: Origin, index: int) -> dict[str, str]:
    lines = origin.requests[index].split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def test_an_event_is_posted_and_signed(origin: Origin) -> None:
    hook = webhook(origin.on("/hook", http.status(204)))
    sent = event("start", id="r1")
    hook.send(sent)
    assert hook.close() == 0
    assert origin.requests[0].startswith("POST /hook HTTP/1.1\r\n")
    assert json.loads(origin.bodies[0]) == {"event": "start", "id": "r1"}
    got = headers(origin, 0)
    assert got["content-type"] == "application/json"
    assert (got["x-uso-event"], got["x-uso-delivery"]) == ("start", sent.delivery)
    assert abs(int(got["x-uso-timestamp"]) - time.time()) < 5
    signed = got["x-uso-timestamp"].encode() + b"." + origin.bodies[0]
    expected = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert got["x-uso-signature"] == f"sha256={expected}"


def test_without_a_secret_nothing_is_signed(origin: Origin) -> None:
    hook = Webhook(Receiver(origin.on("/", http.status(200))), NotifyConfig())
    hook.send(event())
    assert hook.close() == 0
    assert "x-uso-signature" not in headers(origin, 0)


@pytest.mark.parametrize(
    "passing",
    [http.status(500), http.status(429), http.close_at_once],
    ids=["500", "429", "closed"],
)
def test_what_may_pass_is_tried_again_as_the_same_delivery(
    origin: Origin, passing: http.Answer
) -> None:
    hook = webhook(origin.on("/", passing, http.status(200)))
    hook.send(event("end"))
    assert hook.close() == 0
    assert [headers(origin, n)["x-uso-delivery"] for n in range(2)] == [
        headers(origin, 0)["x-uso-delivery"]
    ] * 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http.status(404), "answers 404"),
        (http.redirect("/elsewhere"), "redirects are not followed"),
    ],
)
def test_what_will_not_pass_is_given_up_at_once(
    origin: Origin, answer: http.Answer, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook = webhook(origin.on("/", answer))
    hook.send(event("end"))
    assert hook.close() == 1
    assert dict(origin.hits) == {"/": 1}
    assert said in caplog.text


def test_a_dead_receiver_is_said_without_its_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    caplog.set_level(logging.INFO)
    hook = webhook(f"http://127.0.0.1:{port}/token-in-the-path", attempts=2)
    for kind in ("start", "progress", "end"):
        hook.send(event(kind))
    assert hook.close() == 3
    assert "event=end attempts=2" in caplog.text
    assert "token-in-the-path" not in caplog.text
    assert KEY not in caplog.text


def test_a_receiver_that_does_not_answer_costs_the_run_no_time_and_is_left_at_the_end(
    origin: Origin,
) -> None:
    began = time.monotonic()
    hook = webhook(origin.on("/", http.hang), timeout_s=20, flush_s=0.3)
    hook.send(event("start"))
    hook.send(event("end"))
    assert hook.close() == 2
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("in_head", [True, False])
def test_a_receiver_that_drips_is_given_up(
    origin: Origin, caplog: pytest.LogCaptureFixture, in_head: bool
) -> None:
    status = b"" if in_head else b"x" * 1000
    hook = webhook(
        origin.on("/", http.drip(status, every_s=0.02, in_head=in_head)),
        timeout_s=0.3,
        attempts=1,
        flush_s=5,
    )
    began = time.monotonic()
    hook.send(event("end"))
    assert hook.close() == (1 if in_head else 0)  # the body of an answer is not read
    assert time.monotonic() - began < 2
    assert ("no answer within notify.timeout_s" in caplog.text) == in_head


def test_progress_behind_a_slow_receiver_is_replaced_by_newer_progress(origin: Origin) -> None:
    slow = http.drip(b"", every_s=0.02, in_head=True)
    hook = webhook(origin.on("/", slow, http.status(200)))
    hook.send(event("start"))
    while not origin.hits["/"]:
        time.sleep(0.01)
    for n in range(5):
        hook.send(event("progress", n=n))
    hook.send(event("end"))
    assert hook.close() == 0
    assert bodies(origin) == [
        {"event": "start"},
        {"event": "progress", "n": 4},
        {"event": "end"},
    ]


def test_progress_that_is_not_accepted_gives_way_to_the_end(origin: Origin) -> None:
    hook = webhook(origin.on("/", http.status(503), http.status(503), http.status(200)))
    hook.send(event("progress"))
    while not origin.hits["/"]:
        time.sleep(0.01)
    hook.send(event("end"))
    assert hook.close() == 1
    assert bodies(origin)[-1] == {"event": "end"}


def test_the_receiver_s_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.example/token")
    monkeypatch.setenv("KEY", KEY)
    config = NotifyConfig(url="${HOOK}", secret="${KEY}")
    receiver = Receiver.from_config(config)
    assert receiver == Receiver("https://hooks.example/token", KEY.encode())
    assert "token" not in repr(receiver)
    assert KEY not in repr(receiver)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KEY": "k"}, r"notify\.url: the environment variable HOOK is not set"),
        ({"HOOK": "https://h"}, r"notify\.secret: the environment variable KEY is not set"),
        ({"HOOK": "https://h", "KEY": ""}, r"notify\.secret: \$\{KEY\} is empty"),
        ({"HOOK": "ftp://sesame", "KEY": "k"}, r"notify\.url: \$\{HOOK\} is not an http://"),
    ],
)
def test_a_receiver_that_is_not_whole_is_told_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name in ("HOOK", "KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said) as caught:
        Receiver.from_config(NotifyConfig(url="${HOOK}", secret="${KEY}"))
    assert "sesame" not in str(caught.value)


def test_without_a_url_nobody_is_told() -> None:
    assert Receiver.from_config(NotifyConfig(secret="${NOT_SET_ANYWHERE}")) is None
