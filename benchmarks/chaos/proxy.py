"""A proxy in front of an S3 server that answers badly on purpose.

One request per connection (`Connection: close`), so that a cut concerns one request alone. Requests
pass through byte for byte: the signature covers the host that the client named, and the server
behind checks it.
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

Kind = Literal["fetch", "store", "commit", "other"]
"""A reference is read, an image is written, records are written; anything else."""

_PATHS: tuple[tuple[Kind, str, str], ...] = (
    ("fetch", "GET", "/refs/"),
    ("store", "PUT", "/images/"),
    ("commit", "PUT", "/records/"),
)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DROPPED = re.compile(rb"\r\n(?:connection|expect): [^\r]*", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_ERROR = (
    b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
_BODY = b'<?xml version="1.0"?><Error><Code>%s</Code><Message>on purpose</Message></Error>'


@dataclass(frozen=True, slots=True)
class Weather:
    """How a share of the requests is spoiled.

    Attributes:
        spoiled: share of requests that get an error, are cut, or are done but not answered.
        slow: share of requests that are held back for up to `delay_s`.
    """

    spoiled: float = 0.0
    slow: float = 0.0
    delay_s: float = 0.0


CALM = Weather()
ROUGH = Weather(spoiled=0.08, slow=0.5, delay_s=0.4)

Spoiling = Literal[
    "500 answered", "503 SlowDown answered", "request cut", "answer cut", "answer lost"
]
_SPOILINGS: tuple[Spoiling, ...] = (
    "500 answered",
    "503 SlowDown answered",
    "request cut",
    "answer cut",
    "answer lost",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; `client_port` is the port it came from."""

    kind: Kind
    path: str
    client_port: int


class FaultProxy:
    """Serves on 127.0.0.1 in a thread of its own.

    Attributes:
        port: where it listens.
        weather: how requests are spoiled from now on.
        spoiled: how often each thing was done to a request.
        on_store: told of every image that arrives; called in the proxy's thread.
    """

    def __init__(self, upstream: tuple[str, int], seed: int) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._away_until = 0.0
        self._trap: tuple[Kind, Callable[[Request], bool]] | None = None
        self.port = 0
        self.weather = CALM
        self.spoiled: Counter[str] = Counter()
        self.on_store: Callable[[Request], None] = _ignore

    @property
    def url(self) -> str:
        """What an S3 client is told."""
        return f"http://127.0.0.1:{self.port}"

    def go_away(self, seconds: float) -> None:
        """Cut every connection at once for so long."""
        self._away_until = time.monotonic() + seconds

    def set_trap(self, kind: Kind, spring: Callable[[Request], bool]) -> None:
        """Call `spring` in the middle of each request of `kind` until it returns True."""
        self._trap = (kind, spring)

    @property
    def trap_is_set(self) -> bool:
        """Whether the trap waits for its request."""
        return self._trap is not None

    def clear_trap(self) -> bool:
        """Forget the trap; returns whether it was still set."""
        was_set, self._trap = self._trap is not None, None
        return was_set

    @contextmanager
    def serving(self) -> Iterator[FaultProxy]:
        """Serve for the time of the block."""
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        )
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.run_until_complete(_cancel_the_others())
            self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client, or the server behind, may be killed at any moment.
        with suppress(OSError, asyncio.IncompleteReadError):
            if time.monotonic() >= self._away_until:
                await self._pass_on(reader, writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request = _request(head, writer.get_extra_info("peername")[1])
        if request.kind == "store":
            self.on_store(request)
        spoiling = self._next_spoiling()
        await asyncio.sleep(self._next_delay())
        if _EXPECTS.search(head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(found.group(1)) if (found := _LENGTH.search(head)) else 0
        body = await reader.readexactly(length // 2)
        self._spring_trap(request)
        if spoiling == "request cut" or time.monotonic() < self._away_until:
            return
        body += await reader.readexactly(length - len(body))
        answer = _refusal(spoiling) or await self._ask_upstream(head, body)
        if spoiling == "answer lost":
            return
        writer.write(answer[: len(answer) // 2] if spoiling == "answer cut" else answer)
        await writer.drain()
        if spoiling != "answer cut":
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

    def _next_spoiling(self) -> Spoiling | None:
        if self._random.random() >= self.weather.spoiled:
            return None
        spoiling = self._random.choice(_SPOILINGS)
        self.spoiled[spoiling] += 1
        return spoiling

    def _next_delay(self) -> float:
        weather = self.weather
        return self._random.random() * weather.delay_s * (self._random.random() < weather.slow)

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
    """Nobody asked to be told."""


def _request(head: bytes, client_port: int) -> Request:
    method, target, _ = head.split(b" ", 2)
    path = target.decode("latin-1").partition("?")[0]
    verb = method.decode("latin-1")
    kinds = (kind for kind, its_verb, part in _PATHS if verb == its_verb and part in path)
    return Request(next(kinds, "other"), path, client_port)


def _refusal(spoiling: Spoiling | None) -> bytes | None:
    if spoiling == "500 answered":
        status, code = b"500 Internal Server Error", b"InternalError"
    elif spoiling == "503 SlowDown answered":
        status, code = b"503 Service Unavailable", b"SlowDown"
    else:
        return None
    body = _BODY % code
    return _ERROR % (status, len(body), body)
