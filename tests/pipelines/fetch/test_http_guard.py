from __future__ import annotations

import ipaddress
import time
from ipaddress import IPv4Address

import httpcore2
import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.deadline_stream import until
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import (
    Address,
    GuardedBackend,
    NameNotFoundError,
    is_public,
    resolve,
)
from tests.pipelines import http_origin as http
from tests.pipelines.fetch.fake_internet import PUBLIC, LoopbackTcp, Names, read, refusal
from tests.pipelines.http_origin import Origin


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:db8::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:7f00:1]",
    ],
)
def test_every_spelling_of_loopback_is_refused(origin: Origin, host: str) -> None:
    origin.on("/x", http.ok(b"secret"))
    reader = HttpReader(FetchConfig())
    failure = refusal(reader, f"http://{host}:{origin.port}/x")
    assert "allow_private_networks" in failure.message
    assert origin.hits["/x"] == 0


def test_the_switch_allows_private_addresses(origin: Origin) -> None:
    url = origin.on("/x", http.ok(b"wanted"))
    reader = HttpReader(FetchConfig(allow_private_networks=True))
    assert read(reader, url) == b"wanted"
    reader.close()


def test_names_are_resolved_by_the_system() -> None:
    assert IPv4Address("127.0.0.1") in resolve("localhost", 80)
    with pytest.raises(NameNotFoundError):
        resolve("no-such-host.invalid", 80)
    with pytest.raises(NameNotFoundError):
        resolve(f"{'a' * 70}.example", 80)


def test_one_private_address_among_public_ones_is_enough_to_refuse(origin: Origin) -> None:
    tcp = LoopbackTcp(origin.port)
    names = Names(mixed=[[PUBLIC, "10.0.0.7"]])
    backend = GuardedBackend(allow_private=False, resolve=names, tcp=tcp)
    failure = refusal(HttpReader(FetchConfig(), backend), "http://mixed.test/x")
    assert "10.0.0.7" in failure.message
    assert tcp.connected == []


def test_the_connection_goes_to_the_address_that_was_checked(origin: Origin) -> None:
    """A name that resolves to a private address the second time (DNS rebinding) gains nothing."""
    origin.on("/x", http.ok(b"body"))
    tcp = LoopbackTcp(origin.port)
    names = Names(rebind=[[PUBLIC], ["127.0.0.1"]])
    backend = GuardedBackend(allow_private=False, resolve=names, tcp=tcp)
    reader = HttpReader(FetchConfig(), backend)
    assert read(reader, "http://rebind.test/x") == b"body"
    assert tcp.connected == [PUBLIC]
    assert "Host: rebind.test\r\n" in origin.requests[0]
    refusal(reader, "http://rebind.test/x")  # a new connection: the origin closed the first
    assert tcp.connected == [PUBLIC]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/x",
        "http://inside.test/x",
        "//inside.test/x",
        "http://[::1]:80/x",
        "http://0/x",
    ],
)
def test_redirects_are_checked_like_first_requests(origin: Origin, target: str) -> None:
    origin.on("/go", http.redirect(target))
    tcp = LoopbackTcp(origin.port)
    literal = {"127": [["127.0.0.1"]], "::1": [["::1"]], "0": [["0.0.0.0"]]}
    names = Names(outside=[[PUBLIC]], inside=[["192.168.0.9"]], **literal)
    backend = GuardedBackend(allow_private=False, resolve=names, tcp=tcp)
    refusal(HttpReader(FetchConfig(), backend), "http://outside.test/go")
    assert tcp.connected == [PUBLIC]
    assert origin.hits == {"/go": 1}


def test_the_next_address_is_tried_when_one_does_not_answer(origin: Origin) -> None:
    origin.on("/x", http.ok(b"body"))
    dead = IPv4Address("127.0.0.2")  # nothing listens there

    def both(host: str, port: int) -> list[Address]:
        return [dead, IPv4Address("127.0.0.1")]

    reader = HttpReader(FetchConfig(), GuardedBackend(allow_private=True, resolve=both))
    assert read(reader, f"http://twohomes.test:{origin.port}/x") == b"body"
    reader.close()


@pytest.mark.parametrize("count", [0, 2000])
def test_a_name_without_an_address_that_accepts(origin: Origin, count: int) -> None:
    addresses: list[Address] = [IPv4Address("127.0.0.2")] * count
    backend = GuardedBackend(allow_private=True, resolve=lambda *_: addresses)
    with pytest.raises(httpcore2.ConnectError):
        backend.connect_tcp("many.test", origin.port, timeout=5)


def test_a_slow_name_server_is_cut_off() -> None:
    def slow(host: str, port: int) -> list[Address]:
        time.sleep(2)
        raise AssertionError("nothing waits for this")

    backend = GuardedBackend(allow_private=True, resolve=slow)
    started = time.monotonic()
    with until(Deadline.after(0.1)), pytest.raises(httpcore2.ConnectTimeout):
        backend.connect_tcp("slow.test", 80, timeout=5)
    assert time.monotonic() - started < 1.5


def test_proxies_of_the_environment_are_not_used(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    url = origin.on("/x", http.ok(b"direct"))
    reader = HttpReader(FetchConfig(allow_private_networks=True))
    assert read(reader, url) == b"direct"
    reader.close()


@pytest.mark.parametrize(
    "address",
    [
        *("168.63.129.16", "100.100.100.200", "169.254.169.254", "fd00:ec2::254", "192.0.0.192"),
        *("192.0.0.9", "192.0.0.10", "192.31.196.1", "192.52.193.1", "192.175.48.1", "192.88.99.1"),
        *("161.26.0.10", "166.9.0.1", "198.18.0.1", "3fff::1", "5f00::1", "fec0::1"),
        *("2001:1::1", "2001:3::1", "2001:4:112::1", "2001:20::1", "2620:4f:8000::1"),
        *("::ffff:168.63.129.16", "::ffff:0:10.0.0.1", "::10.0.0.1", "::168.63.129.16"),
        *("2002:a83f:8110::1", "64:ff9b::a83f:8110", "64:ff9b:1::a00:1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2a00::5efe:10.0.0.1", "2a00::200:5efe:a00:1"),
    ],
)
def test_addresses_that_are_not_for_us(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "168.63.129.17", "100.128.0.1", "192.0.1.1", "161.27.0.1", "2001:200::1"),
        *("2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"),
        "2a00::5efe:8.8.8.8",
    ],
)
def test_public_addresses_beside_them(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
