"""A fake internet and DNS, for tests of the guard."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import httpcore2
import pytest

from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.deadline import Deadline
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import (
    Address,
)

PUBLIC = "93.184.216.34"


class LoopbackTcp(httpcore2.NetworkBackend):
    """A fake internet: a connection to any address goes to the loopback origin.

    Attributes:
        connected: the requested addresses.
    """

    def __init__(self, port: int) -> None:
        self.connected: list[str] = []
        self._port = port
        self._tcp = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        self.connected.append(host)
        return self._tcp.connect_tcp(
            "127.0.0.1", self._port, timeout, local_address, socket_options
        )


class Names:
    """A fake DNS: each lookup of a name returns its next answer; the last one is repeated."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers
        self.lookups: list[str] = []

    def __call__(self, host: str, port: int) -> list[Address]:
        self.lookups.append(host)
        answers = self._answers[host.split(".", maxsplit=1)[0]]
        found = answers[min(self.lookups.count(host), len(answers)) - 1]
        return [ipaddress.ip_address(address) for address in found]


def read(reader: HttpReader, url: str) -> bytes:
    """Return the body at `url`."""
    return reader.read(url, Deadline.after(5)).data


def refusal(reader: HttpReader, url: str) -> Failure:
    """Read a URL that must be refused, and return the failure."""
    with pytest.raises(RowFailedError) as caught:
        read(reader, url)
    reader.close()
    assert caught.value.failure.code == "uri_refused"
    return caught.value.failure
