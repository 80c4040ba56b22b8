"""A proxy in front of an S3 server that deliberately fails some requests.

Each connection carries one request (`Connection: close`), so a cut affects one request only.
Requests pass through unchanged, byte for byte: the signature covers the host that the client named,
and the S3 server checks it.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

Kind = Literal["fetch", "store", "commit", "other"]
"""Reading a reference, writing an image, writing records, or anything else."""

_PATHS: tuple[tuple[Kind, str, str], ...] = (
    ("fetch", "GET", "/refs/"),
    ("store", "PUT", "/images/"),
    ("commit", "PUT", "/records/"),
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NAME = re.compile(rb'"name": *"([^"]+)"')
_DROPPED = re.compile(rb"\r\n(?:connection|expect): [^\r]*", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_ERROR = (
    b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
_BODY = b'<?xml version="1.0"?><Error><Code>%s</Code><Message>deliberate</Message></Error>'


@dataclass(frozen=True, slots=True)
class FaultRates:
    """The shares of requests that go wrong.

    Attributes:
        faulty: share of requests that fail with an error, are cut, or take effect without an
            answer.
        slow: share of requests that are delayed by up to `delay_s`.
        delay_s: maximum delay, in seconds.
    """

    faulty: float = 0.0
    slow: float = 0.0
    delay_s: float = 0.0


CALM = FaultRates()
ROUGH = FaultRates(faulty=0.08, slow=0.5, delay_s=0.4)

RequestFault = Literal[
    "500 answered", "503 SlowDown answered", "request cut", "answer cut", "answer lost"
]
_REQUEST_FAULTS: tuple[RequestFault, ...] = (
    "500 answered",
    "503 SlowDown answered",
    "request cut",
    "answer cut",
    "answer lost",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; `client_port` is its source port."""

    kind: Kind
    path: str
    client_port: int


class FaultProxy:
    """Serves on 127.0.0.1 in a thread of its own.

    Attributes:
        port: the port that it listens on.
        rates: fault rates from now on.
        faulty: number of requests that got each fault.
        on_store: called for every image that arrives, in the proxy's thread.
    """

    def __init__(self, upstream: tuple[str, int], seed: int) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._away_until = 0.0
        self._trap: tuple[Kind, Callable[[Request], bool]] | None = None
        self.port = 0
        self.rates = CALM
        self.faulty: Counter[str] = Counter()
        self.on_store: Callable[[Request], None] = _ignore

    @property
    def url(self) -> str:
        """Endpoint URL for S3 clients."""
        return f"http://127.0.0.1:{self.port}"

    def go_away(self, seconds: float) -> None:
        """Cut every connection at once, for some seconds."""
        self._away_until = time.monotonic() + seconds

    def set_trap(self, kind: Kind, spring: Callable[[Request], bool]) -> None:
        """Call `spring` in the middle of each request of `kind` until it returns True."""
        self._trap = (kind, spring)

    @property
    def trap_is_set(self) -> bool:
        """True while the trap waits for its request."""
        return self._trap is not None

    def clear_trap(self) -> bool:
        """Remove the trap; return True if it was still set."""
        was_set, self._trap = self._trap is not None, None
        return was_set

    @contextmanager
    def serving(self) -> Iterator[FaultProxy]:
        """Serve inside the block."""
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        )
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            # In the loop's own thread: from here it could wake the server's waiters a second time.
            self._loop.call_soon_threadsafe(server.close)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.run_until_complete(_cancel_the_others())
            self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client or the S3 server may be killed at any moment.
        with suppress(OSError, asyncio.IncompleteReadError):
            if time.monotonic() >= self._away_until:
                await self._pass_on(reader, writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self._next_fault()
        await asyncio.sleep(self._next_delay())
        if _EXPECTS.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(found.group(1)) if (found := _LENGTH.search(head)) else 0
        body = await reader.readexactly(length // 2)
        request = _request(head, body, writer.get_extra_info("peername")[1])
        if request.kind == "store":
            self.on_store(request)
        self._spring_trap(request)
        if fault == "request cut" or time.monotonic() < self._away_until:
            return
        body += await reader.readexactly(length - len(body))
        answer = _refusal(fault) or await self._ask_upstream(head, body)
        if fault == "answer lost":
            return
        writer.write(answer[: len(answer) // 2] if fault == "answer cut" else answer)
        await writer.drain()
        if fault != "answer cut":
            writer.close()
            await writer.wait_closed()

    async def _ask_upstream(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            kept = _DROPPED.sub(b"", head)[: -len(b"\r\n\r\n")]
            writer.write(kept + b"\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    def _next_fault(self) -> RequestFault | None:
        if self._random.random() >= self.rates.faulty:
            return None
        fault = self._random.choice(_REQUEST_FAULTS)
        self.faulty[fault] += 1
        return fault

    def _next_delay(self) -> float:
        rates = self.rates
        return self._random.random() * rates.delay_s * (self._random.random() < rates.slow)

    def _spring_trap(self, request: Request) -> None:
        trap = self._trap
        if trap is not None and trap[0] == request.kind and trap[1](request):
            self._trap = None


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _ignore(_request: Request) -> None:
    """Do nothing: no callback is set."""


def _request(head: bytes, body: bytes, client_port: int) -> Request:
    method, target, _ = head.split(b" ", 2)
    path = unquote(target.decode("latin-1").partition("?")[0])
    verb = method.decode("latin-1")
    if path.startswith("/upload/") and (name := _NAME.search(body)):
        # An upload to Google Cloud Storage names its object in the body.
        verb, path = "PUT", f"{path}/{name.group(1).decode()}"
    kinds = (kind for kind, its_verb, part in _PATHS if verb == its_verb and part in path)
    return Request(next(kinds, "other"), path, client_port)


def _refusal(fault: RequestFault | None) -> bytes | None:
    if fault == "500 answered":
        status, code = b"500 Internal Server Error", b"InternalError"
    elif fault == "503 SlowDown answered":
        status, code = b"503 Service Unavailable", b"SlowDown"
    else:
        return None
    body = _BODY % code
    return _ERROR % (status, len(body), body)
