"""Bodies of requests: bounded in size, in time and, all together, in memory."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.serve import notes
from jobs.serve.errors import ApiError

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

_FREE_BYTES = 256 * 1024
"""A body up to this size needs no room."""
_ROOM_S = 30.0
"""Longest wait for room."""
_PATIENCE_S = 30.0
_SLOWEST = 16 * 1024
"""A body has `_PATIENCE_S`, and a second more for each `_SLOWEST` bytes."""
_BODY = "body"


class Room:
    """Memory for the large bodies that are read at the same time, given in order of arrival.

    The bodies of one key have half of it, so that others find room however slowly they come.
    """

    def __init__(self, num_bytes: int) -> None:
        self._of_a_key = num_bytes // 2
        self._left = num_bytes
        self._taken: Counter[str] = Counter()  # bytes, by key
        self._waiting: list[_Turn] = []

    async def take(self, num_bytes: int, key: str) -> int:
        """Wait for room for a body of a key; returns the bytes that are to be given back.

        Raises:
            ApiError: there was no room for too long.
        """
        wanted = min(num_bytes, self._of_a_key)
        turn = _Turn(wanted, key, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._give()
        try:
            await asyncio.wait_for(asyncio.shield(turn.come), _ROOM_S)
        except BaseException as error:
            if turn.come.done():
                self.give_back(wanted, key)
            else:
                self._waiting.remove(turn)
                self._give()  # it may have kept others back
            if isinstance(error, asyncio.TimeoutError):  # not the built-in one on Python 3.10
                message = "the server is reading as many large bodies as it can; try again"
                raise ApiError(503, message, headers={"Retry-After": "10"}) from error
            raise
        return wanted

    def give_back(self, num_bytes: int, key: str) -> None:
        """Give room back, to the next ones in the line."""
        self._left += num_bytes
        self._taken[key] -= num_bytes
        if not self._taken[key]:
            del self._taken[key]
        self._give()

    def _give(self) -> None:
        """Give room in order of arrival; a key that has its share lets others pass."""
        for turn in tuple(self._waiting):
            if self._taken[turn.key] + turn.wanted > self._of_a_key:
                continue
            if turn.wanted > self._left:
                return  # smaller ones behind it would keep it waiting
            self._waiting.remove(turn)
            self._left -= turn.wanted
            self._taken[turn.key] += turn.wanted
            turn.come.set_result(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A body that waits for room."""

    wanted: int
    key: str
    come: asyncio.Future[None]


class Bodies:
    """An ASGI app whose bodies have bounds; an error has the form of its dialect.

    FastAPI's own limit answers in plain text, and knows no time.
    """

    def __init__(self, app: ASGIApp, most: int, room: Room) -> None:
        """Accept bodies of up to `most` bytes; those under way at a time share `room`."""
        self._app = app
        self._most = most
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, dict(scope["headers"]), self._most, self._room)
        scope.setdefault("state", {})[_BODY] = body
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.forget()


class _Body:
    """The body of one request."""

    def __init__(
        self, receive: Receive, headers: Mapping[bytes, bytes], most: int, room: Room
    ) -> None:
        declared = headers.get(b"content-length", b"")
        self._declared = int(declared) if declared.isdigit() else None
        self._may_come = self._declared or headers.get(b"transfer-encoding")
        self._receive = receive
        self._most = most
        self._room = room
        self._taken = 0
        self._key = ""
        self._size = 0
        self._give_up_at: float | None = None
        self._is_whole = not self._may_come
        self.sha256 = hashlib.sha256() if b"idempotency-key" in headers else None

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            ApiError: the body is too large or too slow.
        """
        if self._is_whole:
            return await self._receive()
        await self._take_room()
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + _PATIENCE_S
        left = self._give_up_at + self._size / _SLOWEST - time.monotonic()
        try:
            # `asyncio.wait_for` starts a task for each part before Python 3.12.
            async with timeout(max(left, 0)):
                message = await self._receive()
        except asyncio.TimeoutError as error:  # not the built-in one on Python 3.10
            text = f"the body came too slowly: {self._size:,} bytes; send it faster"
            raise ApiError(408, text) from error
        part = message.get("body", b"")
        self._size += len(part)
        self._is_whole = not message.get("more_body", False)
        if self._size > self._most:
            raise _too_large(self._most)
        if self.sha256 is not None:
            self.sha256.update(part)
        return message

    async def _take_room(self) -> None:
        """Take room for the whole body before its first byte, or once it is a large one."""
        if self._declared is not None and self._declared > self._most:
            raise _too_large(self._most)
        expected = self._size + 1 if self._declared is None else self._declared
        if not self._taken and expected > _FREE_BYTES:
            whole = self._most if self._declared is None else self._declared
            self._key = notes.current_key()
            self._taken = await self._room.take(whole, self._key)

    def forget(self) -> None:
        """Give the room of the body back."""
        if self._taken:
            self._room.give_back(self._taken, self._key)
            self._taken = 0


async def body_of(request: Request, most: int) -> bytes:
    """Return the body of a request, which the request does not keep.

    Raises:
        ApiError: it has more than `most` bytes.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def sha256_of(request: Request) -> str:
    """Return the hash of the body that was read; for a request with an idempotency key alone."""
    body: _Body = request.scope["state"][_BODY]
    assert body.sha256 is not None
    return body.sha256.hexdigest()


def forget_body(request: Request) -> None:
    """Let other bodies have the room of a request, before a long wait; keep no part of it."""
    body: _Body = request.scope["state"][_BODY]
    body.forget()


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"a body may have {most:,} bytes")
