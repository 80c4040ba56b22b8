"""A TCP port forwarder, like a tunnel to a cluster, whose connections can be cut."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 65536


class Forwarder:
    """Forwards connections to `port`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.port = 0
        self._target = target
        self._open: set[socket.socket] = set()

    def cut(self) -> int:
        """Close all connections at once; return their number."""
        connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return len(connections)

    def forward(self, near: socket.socket) -> None:
        """Pass bytes both ways until one side closes."""
        with socket.create_connection(self._target) as far:
            self._open.add(near)
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self._open.discard(near)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def forwarding(target: tuple[str, int]) -> Iterator[Forwarder]:
    """Run a forwarder on a free port of 127.0.0.1 inside the block."""
    forwarder = Forwarder(target)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            forwarder.forward(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        forwarder.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield forwarder
        finally:
            server.shutdown()
            forwarder.cut()
            thread.join()
