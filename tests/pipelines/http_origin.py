"""A real HTTP server on a loopback port that misbehaves as each path asks."""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket], None]


class Origin:
    """Paths and how each is answered.

    Attributes:
        hits: requests so far, by path.
        requests: the head of each request, as it came.
        bodies: the body of each request.
        otherwise: the answer for all other paths.
    """

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.otherwise: Answer = status(404)
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.port = 0

    def on(self, path: str, *answers: Answer) -> str:
        """Answer `path` with each of `answers` in turn, then with the last; returns the URL."""
        self._answers[path] = list(answers)
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(65536)
            if not received:
                return
            head += received
        head, end, body = head.partition(b"\r\n\r\n")
        head += end
        if b"\r\nexpect: 100-continue" in head.lower():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body += _rest_of_body(connection, head, len(body))
        path = head.split(b" ", 2)[1].decode()
        with self._lock:
            self.requests.append(head.decode())
            self.bodies.append(body)
            answers = self._answers.get(path, [self.otherwise])
            answer = answers[min(self.hits[path], len(answers) - 1)]
            self.hits[path] += 1
        answer(connection)


def _rest_of_body(connection: socket.socket, head: bytes, num_read: int) -> bytes:
    """Read the rest of a body with a Content-Length."""
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    missing = int(length[1]) - num_read if length else 0
    rest = b""
    while len(rest) < missing:
        received = connection.recv(missing - len(rest))
        if not received:
            break
        rest += received
    return rest


@contextmanager
def serving() -> Iterator[Origin]:
    """An origin that serves on 127.0.0.1 for the time of the block."""
    origin = Origin()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # the client has gone
                origin.answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        origin.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield origin
        finally:
            server.shutdown()
            thread.join()


def head(status_line: str, **headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status_line}",
        "Connection: close",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ok(body: bytes, *, content_type: str = "image/png", length: int | None = None) -> Answer:
    """200 with `body`; `length` is the Content-Length that is claimed."""

    def answer(connection: socket.socket) -> None:
        claimed = str(len(body) if length is None else length)
        connection.sendall(head("200 OK", Content_Type=content_type, Content_Length=claimed) + body)

    return answer


def encoded(body: bytes, encoding: str) -> Answer:
    def answer(connection: socket.socket) -> None:
        length = str(len(body))
        connection.sendall(head("200 OK", Content_Encoding=encoding, Content_Length=length) + body)

    return answer


def endless(connection: socket.socket) -> None:
    """200 without a Content-Length, and bytes for as long as anybody reads them."""
    connection.sendall(head("200 OK", Content_Type="image/png"))
    while True:
        connection.sendall(bytes(65536))


def status(code: int, **headers: str) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head(f"{code} Whatever", Content_Length="0", **headers))

    return answer


def redirect(location: str, code: int = 302) -> Answer:
    return status(code, Location=location)


def hang(connection: socket.socket) -> None:
    """No answer, until the client goes."""
    connection.recv(1)


def drip(body: bytes, *, every_s: float = 0.02, in_head: bool = False) -> Answer:
    """One byte at a time, of the body or of the head."""

    def answer(connection: socket.socket) -> None:
        start = head("200 OK", Content_Length=str(len(body)))
        if not in_head:
            connection.sendall(start)
            start = b""
        for byte in start + body:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)

    return answer


def cut_chunked(body: bytes) -> Answer:
    """A chunked body without its last chunk."""

    def answer(connection: socket.socket) -> None:
        chunk = b"%x\r\n" % len(body) + body + b"\r\n"
        connection.sendall(head("200 OK", Transfer_Encoding="chunked") + chunk)

    return answer


def reset(body: bytes) -> Answer:
    """Half of the body, then a TCP reset."""

    def answer(connection: socket.socket) -> None:
        half = body[: len(body) // 2]
        connection.sendall(head("200 OK", Content_Length=str(len(body))) + half)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def close_at_once(connection: socket.socket) -> None:
    """Nothing at all."""


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def failing(code: int, body: bytes) -> Answer:
    """An error status with a body."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head(f"{code} Whatever", Content_Length=str(len(body))) + body)

    return answer
