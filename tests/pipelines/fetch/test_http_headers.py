"""Headers go to the host that they are for, and to no other."""

from __future__ import annotations

import ipaddress
from typing import Any

import httpx2
import pytest

from pipelines.config.http import HttpConfig
from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import Address, GuardedBackend
from pipelines.fetch.http_headers import HostHeaders
from tests.pipelines.fetch.fake_internet import read
from tests.pipelines.http_origin import ok, redirect, serving, status


def everywhere(host: str, port: int) -> list[Address]:
    return [ipaddress.ip_address("127.0.0.1")]


def reader(monkeypatch: pytest.MonkeyPatch, **http: Any) -> HttpReader:
    for name in ("TOKEN", "OTHER"):
        monkeypatch.setenv(name, f"secret-{name.lower()}")
    settings = HttpConfig.model_validate(http).resolved()
    config = FetchConfig(http=settings)
    return HttpReader(config, GuardedBackend(allow_private=True, resolve=everywhere))


def test_each_host_gets_its_own_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {
        "Authorization": "Bearer ${TOKEN}",
        "Referer": "https://a.test/",
        "X-Api-Key": "${OTHER}",
    }
    it = reader(monkeypatch, headers={"A.test": own})
    with serving() as origin:
        origin.on("/x", ok(b"image"))
        read(it, f"http://a.test:{origin.port}/x")
        read(it, f"http://b.test:{origin.port}/x")
        read(it, f"http://sub.a.test:{origin.port}/x")
    it.close()
    first, *others = [request.lower() for request in origin.requests]
    for line in ("authorization: bearer secret-token", "referer: https://a.test/"):
        assert line in first
    assert "x-api-key: secret-other" in first
    assert all("secret" not in other and "referer" not in other for other in others)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_takes_headers_to_no_other_host(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    it = reader(
        monkeypatch,
        headers={
            "a.test": {"Authorization": "${TOKEN}", "X-Key": "${TOKEN}", "Cookie": "${TOKEN}"}
        },
    )
    with serving() as origin, serving() as other:
        other.on("/y", ok(b"image"))
        for number, target in enumerate(
            (f"http://b.test:{origin.port}", f"http://a.test:{other.port}", other.url(""))
        ):
            origin.on(f"/{number}", redirect(f"{target}/y", code))
            origin.on("/y", ok(b"image"))
            assert read(it, f"http://a.test:{origin.port}/{number}") == b"image"
        origin.on("/same", redirect("/y", code))
        assert read(it, f"http://a.test:{origin.port}/same") == b"image"
    it.close()
    for request in (*origin.requests, *other.requests):
        is_own = f"host: a.test:{origin.port}" in request.lower()
        assert ("secret-token" in request) == is_own, request


def test_another_host_gets_its_own_headers_after_a_redirect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {"a.test": {"X-Key": "${TOKEN}"}, "b.test": {"X-Key": "${OTHER}"}}
    it = reader(monkeypatch, headers=headers)
    with serving() as origin:
        origin.on("/x", redirect(f"http://b.test:{origin.port}/y"))
        origin.on("/y", ok(b"image"))
        read(it, f"http://a.test:{origin.port}/x")
    it.close()
    assert ["secret-token" in request for request in origin.requests] == [True, False]
    assert ["secret-other" in request for request in origin.requests] == [False, True]


def test_the_user_agent_is_for_all_hosts_unless_one_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headers = {"a.test": {"user-agent": "for a"}}
    it = reader(monkeypatch, user_agent="mine (me@example.org)", headers=headers)
    with serving() as origin:
        origin.on("/x", redirect(f"http://b.test:{origin.port}/x"), ok(b"image"))
        read(it, f"http://a.test:{origin.port}/x")
    it.close()
    first, second = [request.lower() for request in origin.requests]
    assert "user-agent: for a\r\n" in first
    assert "user-agent: mine (me@example.org)\r\n" in second
    assert first.count("user-agent") == second.count("user-agent") == 1


def test_a_failure_shows_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    it = reader(monkeypatch, headers={"a.test": {"Authorization": "${TOKEN}"}})
    with serving() as origin:
        origin.on("/x", status(403))
        with pytest.raises(RowFailedError) as caught:
            read(it, f"http://a.test:{origin.port}/x")
    it.close()
    assert "secret-token" not in str(caught.value.failure)


@pytest.mark.parametrize(
    ("first", "url", "sent"),
    [
        ("https://a.test/", "https://a.test/x", True),
        ("https://a.test/", "http://a.test/", False),
        ("http://a.test/", "https://a.test/", True),
        ("http://a.test/", "http://a.test:8080/", False),
        ("http://a.test:8080/", "https://a.test/", False),
        ("https://b.test/", "https://a.test/", True),
        ("https://b.test/", "http://a.test/", False),
        ("http://b.test/", "http://a.test:8080/", True),
        ("https://a.test/", "https://b.test/", False),
        ("https://a.test/", "https://a.test.evil.test/", False),
        ("https://A.TEST/", "https://a.TEST/", True),
    ],
)
def test_the_rule_for_redirects(first: str, url: str, sent: bool) -> None:
    headers = HostHeaders(HttpConfig(headers={"a.test": {"Referer": "x"}}))
    assert (headers.of(httpx2.URL(url), httpx2.URL(first)) == {"referer": "x"}) == sent


def test_a_port_has_headers_of_its_own() -> None:
    given = {"a.test": {"Referer": "all", "Origin": "all"}, "a.test:81": {"referer": "one"}}
    headers = HostHeaders(HttpConfig(headers={**given, "[::1]:81": {"Referer": "six"}}))

    def of(url: str) -> dict[str, str]:
        return headers.of(httpx2.URL(url), httpx2.URL(url))

    assert of("http://a.test:81/") == {"referer": "one", "origin": "all"}
    assert of("http://a.test/") == {"referer": "all", "origin": "all"}
    assert of("http://[::1]:81/") == {"referer": "six"}
    assert of("http://[::1]/") == {}
