"""Connections are used again, by one request at a time, and only while they are good."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore2
import pytest

from pipelines.fetch.kept_connections import KeptConnections

CONTEXT = httpcore2.default_ssl_context()


class Handler(BaseHTTPRequestHandler):
    """Answers with the path and padding, and keeps the connection; `/bye` closes it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.path.encode().ljust(200_000, b".")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/bye":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


class Stream(httpcore2.NetworkStream):
    """A connection that says whether it is closed."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self.inner = inner
        self.is_closed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, timeout)

    def close(self) -> None:
        self.is_closed = True
        self.inner.close()

    def get_extra_info(self, info: str) -> object:
        return self.inner.get_extra_info(info)


class Tcp(httpcore2.NetworkBackend):
    """Opens connections, and keeps account of them."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self._tcp = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = Stream(self._tcp.connect_tcp(host, port, timeout, local_address, socket_options))
        self.streams.append(stream)
        return stream

    @property
    def open(self) -> list[bool]:
        """True for each open connection, in the order of their opening."""
        return [not stream.is_closed for stream in self.streams]


class Server(ThreadingHTTPServer):
    """A server on every loopback address, whose threads do not outlive the test."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: clients close connections in the middle."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Provide the port of a server."""
    with Server(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def made(tcp: Tcp, most_idle: int = 32, longest_idle_s: float = 15) -> KeptConnections:
    return KeptConnections(tcp, CONTEXT, most_idle=most_idle, longest_idle_s=longest_idle_s)


def sent(
    connections: KeptConnections, port: int, path: str = "/a", host: int = 1
) -> httpcore2.Response:
    url = f"http://127.0.0.{host}:{port}{path}"
    return connections.handle_request(httpcore2.Request("GET", url, headers=[("Host", "a.test")]))


def body(connections: KeptConnections, port: int, path: str = "/a", host: int = 1) -> bytes:
    response = sent(connections, port, path, host)
    with closing(response):
        return b"".join(response.iter_stream()).rstrip(b".")


def test_a_connection_is_used_again_for_its_own_host(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp)) as connections:
        for number in range(9):
            assert body(connections, port, f"/{number}", 1 + number % 3) == b"/%d" % number
        assert tcp.open == [True] * 3
    assert tcp.open == [False] * 3


def test_a_connection_serves_one_response_at_a_time(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp)) as connections, closing(sent(connections, port, "/first")) as first:
        assert body(connections, port, "/second") == b"/second"
        assert len(tcp.streams) == 2
        assert b"".join(first.iter_stream()).startswith(b"/first")
    assert tcp.open == [False, False]


def test_a_connection_of_an_unfinished_or_last_response_is_closed(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp)) as connections:
        response = sent(connections, port)
        next(iter(response.iter_stream()))
        response.close()
        response.close()
        assert tcp.open == [False]
        assert body(connections, port, "/bye") == b"/bye"
        assert tcp.open == [False, False]
        assert body(connections, port) == b"/a"


def test_a_connection_that_the_server_has_closed_is_not_used(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp)) as connections:
        body(connections, port)
        tcp.streams[0].inner.get_extra_info("socket").shutdown(2)
        assert body(connections, port, "/b") == b"/b"
        assert tcp.open == [False, True]


def test_a_connection_that_was_idle_for_long_is_closed(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp, longest_idle_s=0.05)) as connections:
        body(connections, port, host=1)
        body(connections, port, host=2)
        time.sleep(0.06)
        body(connections, port, host=2)
        assert tcp.open == [False, False, True]


def test_the_connection_that_was_used_longest_ago_gives_way(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp, most_idle=2)) as connections:
        for host in (1, 2, 1, 3):
            body(connections, port, host=host)
        assert tcp.open == [True, False, True]


def test_a_failed_connection_is_forgotten() -> None:
    with closing(made(Tcp())) as connections:
        for _ in range(3):
            with pytest.raises(httpcore2.ConnectError):
                sent(connections, 9)
        assert not connections._busy
        assert not connections._idle


def test_nothing_is_kept_after_the_end(port: int) -> None:
    tcp = Tcp()
    connections = made(tcp)
    response = sent(connections, port, "/bye")
    other = sent(connections, port)
    body(connections, port)
    connections.close()
    assert tcp.open == [False] * 3
    for late in (response, other):
        late.close()
    body(connections, port)
    assert tcp.open == [False] * 4


def test_threads_get_their_own_answers_over_few_connections(port: int) -> None:
    tcp = Tcp()
    with closing(made(tcp, most_idle=4)) as connections, ThreadPoolExecutor(8) as threads:
        paths = [f"/{number}" for number in range(300)]
        found = threads.map(
            lambda path: body(connections, port, path, 1 + len(path) % 2), paths, timeout=60
        )
        assert list(found) == [path.encode() for path in paths]
        assert not connections._busy
        assert len(connections._idle) <= 4
        assert sum(tcp.open) == len(connections._idle)
