"""A real HTTP proxy on a loopback port, which takes every host for one server on the loopback."""

from __future__ import annotations

import base64
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.pipelines.http_origin import head


class LocalProxy:
    """A proxy.

    Attributes:
        port: its own port.
        heads: the head of each request, as it came.
        user: the `user:password` that it asks for; None: nothing.
    """

    def __init__(self, target_port: int, user: str | None) -> None:
        self.port = 0
        self.heads: list[str] = []
        self.user = user
        self._target_port = target_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def asked(self) -> list[str]:
        """The first line of each request, without the version."""
        return [text.partition(" HTTP/")[0] for text in self.heads]

    def answer(self, client: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            more = client.recv(65536)
            if not more:
                return
            received += more
        self.heads.append(received.decode())
        if self.user is not None:
            expected = f"proxy-authorization: basic {_basic(self.user)}"
            if expected.lower() not in self.heads[-1].lower():
                client.sendall(head("407 Who are you", Content_Length="0"))
                return
        with socket.create_connection(("127.0.0.1", self._target_port)) as server:
            if received.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                server.sendall(_for_server(received))
            _copy_both(client, server)


def _basic(user: str) -> str:
    return base64.b64encode(user.encode()).decode()


def _for_server(received: bytes) -> bytes:
    """Give the request the form and the headers that a server gets."""
    first, *lines = received.split(b"\r\n")
    method, url, version = first.split(b" ")
    path = b"/" + url.split(b"/", 3)[3]
    kept = [line for line in lines if not line.lower().startswith(b"proxy-")]
    return b"\r\n".join([b" ".join([method, path, version]), *kept])


def _copy_both(client: socket.socket, server: socket.socket) -> None:
    upstream = threading.Thread(target=_copy, args=(client, server), daemon=True)
    upstream.start()
    _copy(server, client)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(target_port: int, user: str | None = None) -> Iterator[LocalProxy]:
    """A proxy that serves for the time of the block."""
    proxy = LocalProxy(target_port, user)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                proxy.answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
