"""References come through a proxy if the user says so, and the guard still holds."""

from __future__ import annotations

import ipaddress
import ssl
import time
from typing import Any

import httpx2
import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.errors import TransientFetchError
from pipelines.fetch.guarded_transport import GuardedTransport
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import Address, GuardedBackend, NameNotFoundError
from pipelines.fetch.proxies import Proxies
from tests.pipelines.fetch.fake_internet import read, refusal
from tests.pipelines.fetch.local_proxy import proxying
from tests.pipelines.fetch.test_http_guard_tls import tls
from tests.pipelines.http_origin import ok, redirect, serving
from tests.pipelines.manifests import entries

NAMES = {"inner.test": "10.0.0.7", "localhost": "127.0.0.1", "open.test": "93.184.216.34"}
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

__all__ = ["tls"]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def resolve(host: str, port: int) -> list[Address]:
    """Know the addresses of few hosts, as in a network in which only the proxy knows others."""
    text = NAMES.get(host, host)
    try:
        return [ipaddress.ip_address(text.strip("[]"))]
    except ValueError:
        raise NameNotFoundError(host) from None


def reader(proxy: str | None, *, allow_private: bool = False, **fetch: Any) -> HttpReader:
    config = FetchConfig.model_validate({"http": {"proxy": proxy}, **fetch})
    return HttpReader(config, GuardedBackend(allow_private=allow_private, resolve=resolve))


def test_http_comes_through_the_proxy_with_its_credentials_for_the_proxy_alone() -> None:
    with serving() as origin, proxying(origin.port, "me:s:cret") as proxy:
        origin.on("/a.png", ok(b"image"))
        with_user = proxy.url.replace("//", "//me:s%3Acret@")
        it = reader(with_user)
        for host in ("far.test", "open.test", "far.test:8080"):
            assert read(it, f"http://{host}/a.png") == b"image"
        it.close()
        assert proxy.asked[0] == "GET http://far.test/a.png"
        assert proxy.asked[2] == "GET http://far.test:8080/a.png"
    assert all("proxy-authorization" not in request.lower() for request in origin.requests)
    assert "host: far.test" in origin.requests[0].lower()


def test_tls_goes_through_a_tunnel_and_is_verified_by_name(
    tls: tuple[int, ssl.SSLContext],
) -> None:
    port, context = tls
    backend = GuardedBackend(allow_private=False, resolve=resolve)
    with proxying(port) as proxy:
        transport = GuardedTransport(backend, context, Proxies.of(proxy.url))
        with httpx2.Client(transport=transport) as client:
            assert client.get("https://good.test/").content == b"tls"
        assert proxy.asked == ["CONNECT good.test:443"]
        with pytest.raises(RowFailedError, match="certificate"):
            read(reader(proxy.url), "https://good.test/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "http://localhost:8000/x.png",
        "http://inner.test/x.png",
        "https://inner.test/x.png",
        "http://[::1]/x.png",
        "http://169.254.169.254/latest/meta-data",
        "http://open.test/to-metadata",
    ],
)
def test_the_guard_refuses_what_is_known_to_be_private(url: str) -> None:
    with serving() as origin, proxying(origin.port) as proxy:
        origin.on("/to-metadata", redirect("http://169.254.169.254/latest/meta-data"))
        failure = refusal(reader(proxy.url), url)
        assert (
            "which is not public; fetch.allow_private_networks: true allows it" in failure.message
        )
        assert all("open.test" in line for line in proxy.asked)


def test_private_hosts_come_through_the_proxy_if_allowed() -> None:
    with serving() as origin, proxying(origin.port) as proxy:
        origin.on("/a.png", ok(b"image"))
        assert read(reader(proxy.url, allow_private=True), "http://inner.test/a.png") == b"image"
        assert proxy.asked == ["GET http://inner.test/a.png"]


def test_a_name_that_is_looked_up_in_vain_costs_its_wait_once() -> None:
    def slow(host: str, port: int) -> list[Address]:
        if host == "127.0.0.1":
            return resolve(host, port)
        time.sleep(0.2)
        raise NameNotFoundError(host)

    with serving() as origin, proxying(origin.port) as proxy:
        origin.on("/a.png", ok(b"image"))
        config = FetchConfig.model_validate({"http": {"proxy": proxy.url}})
        it = HttpReader(config, GuardedBackend(allow_private=False, resolve=slow))
        read(it, "http://far.test/a.png")
        start = time.monotonic()
        for _ in range(3):
            read(it, "http://far.test/a.png")
        assert time.monotonic() - start < 0.2


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as origin, proxying(origin.port) as proxy:
        origin.on("/a.png", ok(b"image"))
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("no_proxy", "localhost, .direct.test,10.0.0.0/8")
        it = reader("environment")
        assert read(it, "http://far.test/a.png") == b"image"
        assert refusal(it, f"http://localhost:{origin.port}/a.png").code == "uri_refused"
        assert proxy.asked == ["GET http://far.test/a.png"]
        allowed = reader("environment", allow_private=True)
        assert read(allowed, f"http://localhost:{origin.port}/a.png") == b"image"
        assert len(proxy.asked) == 1


def test_without_the_key_no_proxy_is_used_and_a_failure_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as origin, proxying(origin.port) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(RowFailedError, match=r"fetch\.http\.proxy: environment would use it"):
            read(reader(None), "https://far.test/a.png")
        assert proxy.asked == []
    monkeypatch.delenv("https_proxy")
    with pytest.raises(RowFailedError, match=r"check its name$"):
        read(reader(None), "https://far.test/a.png")


def test_a_manifest_at_a_url_follows_the_environment_if_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as origin, proxying(origin.port) as proxy:
        origin.on("/m.jsonl", ok(b'{"id": "a", "prompt": "p"}'))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        options = {"https": {"client_kwargs": {"trust_env": True}}}
        (entry,) = entries("http://far.test/m.jsonl", storage=options)
        assert entry.row.id == "a"
        assert proxy.asked == ["GET http://far.test/m.jsonl"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_denies_fails_the_row_and_shows_no_password(scheme: str) -> None:
    with serving() as origin, proxying(origin.port, "me:right") as proxy:
        wrong = proxy.url.replace("//", "//me:wrong@")
        with pytest.raises(RowFailedError) as caught:
            read(reader(wrong), f"{scheme}://far.test/a.png")
    failure = caught.value.failure
    assert failure.code == "uri_forbidden"
    assert f"the proxy {proxy.url}/ failed (it answered 407" in failure.message
    assert "wrong" not in failure.message


def test_a_proxy_that_is_away_is_tried_again() -> None:
    it = reader("http://me:hidden@127.0.0.1:9")
    with pytest.raises(TransientFetchError, match=r"the proxy http://127\.0\.0\.1:9/ failed"):
        it.read("http://far.test/a.png", Deadline.after(5))


def test_a_proxy_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(RowFailedError, match="socks5: proxies are not supported"):
        read(reader("environment"), "http://far.test/a.png")


@pytest.mark.parametrize(
    ("entries", "host", "port", "is_direct"),
    [
        ("", "a.test", 80, False),
        ("*", "a.test", 80, True),
        ("a.test", "a.test", 80, True),
        ("a.test", "b.a.test", 80, True),
        ("a.test", "ba.test", 80, False),
        (".a.test", "b.a.test", 80, True),
        ("*.a.test", "b.a.test", 80, True),
        ("A.Test", "a.test", 80, True),
        ("a.test:8080", "a.test", 8080, True),
        ("a.test:8080", "a.test", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("x, ,a.test", "a.test", 80, True),
    ],
)
def test_hosts_in_no_proxy_are_reached_directly(
    monkeypatch: pytest.MonkeyPatch, entries: str, host: str, port: int, is_direct: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", entries)
    found = Proxies.of("http://p:1").of_url("http", host, port)
    assert (found is None) == is_direct


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, {}),
        ({"HTTP_PROXY": "http://a"}, {"http": "http://a"}),
        ({"http_proxy": "http://b", "HTTP_PROXY": "http://a"}, {"http": "http://b"}),
        ({"HTTP_PROXY": "http://a", "REQUEST_METHOD": "GET"}, {}),
        ({"https_proxy": "a:3128"}, {"https": "http://a:3128"}),
        ({"ALL_PROXY": "http://a"}, {"http": "http://a", "https": "http://a"}),
        ({"all_proxy": "a", "HTTPS_PROXY": "b"}, {"http": "http://a", "https": "http://b"}),
        ({"HTTP_PROXY": ""}, {}),
    ],
)
def test_variables_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], found: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert dict(Proxies.of("environment").by_scheme) == found
    assert dict(Proxies.of(None).by_scheme) == {}
