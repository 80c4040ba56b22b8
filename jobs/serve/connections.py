"""Connections: bounded in number, and in the time that a client takes to send and to read.

Uvicorn waits for ever for the head of a request and for a client that does not read its answer. It
answers 503 to everyone while it has too many connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from jobs.serve.errors import CODES
from jobs.serve.gate import CROWDED
from jobs.serve.joined_writes import JoinedWrites

logger = logging.getLogger(__name__)

SPARE_FILES = 512
"""Open files for everything but connections: Ray, the database, images, webhooks."""
SPARE_CONNECTIONS = 64
"""Connections above the bound that get an answer of their own."""


class Connections:
    """The open connections of a server.

    Attributes:
        most: bound of their number.
        head_s: seconds that a request's head may take.
        stall_s: seconds for which a client may read no part of its answer.
        linger_s: seconds for which a body is still read after its answer.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.head_s = 20.0
        self.stall_s = 60.0
        self.linger_s = 10.0
        self._open: set[Guarded] = set()
        self._idle: dict[Guarded, None] = {}  # without a request under way, the longest first

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Guarded) -> bool:
        """Add a connection, in place of the one that was idle the longest if there are too many.

        Returns:
            False if there are too many, and all of them have a request under way.
        """
        fits = len(self._open) < self.most
        if not fits and self._idle:
            oldest = next(iter(self._idle))
            self.remove(oldest)
            oldest.drop()
            fits = True
        self._open.add(connection)
        self._idle[connection] = None
        return fits

    @property
    def are_full(self) -> bool:
        """True if not even an answer that refuses is possible."""
        return len(self._open) >= self.most + SPARE_CONNECTIONS

    def remove(self, connection: Guarded) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def note(self, connection: Guarded, *, idle: bool) -> None:
        """Note if a connection has a request under way."""
        if not idle:
            self._idle.pop(connection, None)
        elif connection in self._open and connection not in self._idle:
            self._idle[connection] = None


class GuardedConfig(uvicorn.Config):
    """Uvicorn's settings, with the connections that its protocol shares."""

    def __init__(self, app: Any, connections: Connections, **options: Any) -> None:  # noqa: ANN401
        super().__init__(app, http=Guarded, ws="none", **options)
        self.connections = connections


class Guarded(H11Protocol):
    """A connection that waits for nobody for ever."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = config.connections
        self._head = _Timer(self.loop, self._all.head_s, self._head_is_late)
        self._stall = _Timer(self.loop, self._all.stall_s, self._look_at_stall)
        self._linger = _Timer(self.loop, self._all.linger_s, self.drop)
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(JoinedWrites(transport, self.loop))
        if self._all.are_full:
            self._refuse(503, "too many connections are open; try again")
            return
        if not self._all.add(self):
            self.app_state = {**self.app_state, CROWDED: True}
        self._head.start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._all.remove(self)
        for timer in (self._head, self._stall, self._linger):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request; for the rest of an unread body only for a while."""
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if unread:
            self._linger.start()
        self._watch_head()

    def _watch_head(self) -> None:
        """Start or stop the time of a head."""
        is_idle = self.conn.their_state is h11.IDLE
        self._all.note(self, idle=is_idle)
        if self.conn.their_state is not h11.SEND_BODY:
            self._linger.stop()
        if not is_idle:
            self._head.stop()
        elif self.conn.trailing_data[0]:
            self._head.start()

    def _head_is_late(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, "the head of the request came too slowly")

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, also if the client does not read the end of its answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self._all.stall_s, self.drop)

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than its answer comes."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._stall.start()

    def resume_writing(self) -> None:
        """Note that the client has read on."""
        self._stall.stop()
        super().resume_writing()

    def _look_at_stall(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread >= self._unread:
            logger.info("client_stalled unread_bytes=%d", unread)
            self.drop()
            return
        self._unread = unread
        self._stall.stop()
        self._stall.start()

    def drop(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (of uvicorn)
        """Refuse bytes that are not a request."""
        most = self.config.h11_max_incomplete_event_size
        self._refuse(400, f"this is not a valid HTTP request with a head of up to {most:,} bytes")

    def _refuse(self, status: int, message: str) -> None:
        """Answer before there is a request, and so a dialect: in the form for unknown paths."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_refusal(status, message))
        self.transport.close()


def _refusal(status: int, message: str) -> bytes:
    title = HTTPStatus(status).phrase
    code = CODES[status]
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
        "success": False,
        "error": {"code": code, "message": message},
    }
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + content


class _Timer:
    """Calls a function once, some time after it was started."""

    __slots__ = ("_call", "_handle", "_loop", "_seconds")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, call: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the time, unless it runs."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._call)

    def stop(self) -> None:
        """Stop the time."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def bound_of_connections(wanted: int) -> int:
    """Return the number of connections that this process may have, and raise its limit of files.

    Args:
        wanted: the number that the configuration wants.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    bound = max(1, soft - SPARE_CONNECTIONS - SPARE_FILES)
    logger.warning(
        "connections_bounded most=%d wanted=%d reason=%r",
        bound, wanted, f"this process may have {soft} open files; raise `ulimit -n`",
    )  # fmt: skip
    return bound
