"""Connections to hosts, kept for the next request to the same host."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from ssl import SSLContext
from typing import NamedTuple, Protocol, cast

import httpcore2


class _Idle(NamedTuple):
    connection: httpcore2.HTTPConnection
    since: float


class KeptConnections:
    """Sends requests over connections of its own; safe to share between threads.

    It takes the place of `httpcore2.ConnectionPool`, which asks the system about every idle
    connection before and after each request, while all other threads wait. This asks about the one
    connection that it takes.

    Args:
        backend: connects to hosts.
        ssl_context: for https.
        most_idle: connections that are kept; the one that was used longest ago gives way.
        longest_idle_s: seconds after which a connection is closed rather than used.
    """

    def __init__(
        self,
        backend: httpcore2.NetworkBackend,
        ssl_context: SSLContext,
        *,
        most_idle: int,
        longest_idle_s: float,
    ) -> None:
        self._backend = backend
        self._ssl_context = ssl_context
        self._most_idle = most_idle
        self._longest_idle_s = longest_idle_s
        self._lock = threading.Lock()
        self._idle: deque[_Idle] = deque()  # by the time of their last use
        self._busy: set[httpcore2.HTTPConnection] = set()
        self._closed = False

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request. The connection is free for the next one when the response is closed.

        Raises:
            httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError: it failed.
        """
        connection = self._taken(request.url.origin)
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._dropped(connection)
            raise
        response.stream = _Body(cast(_Closable, response.stream), connection, self)
        return response

    def keep(self, connection: httpcore2.HTTPConnection) -> None:
        """Keep a connection whose response is closed, if it can be used again."""
        if not connection.is_available():
            self._dropped(connection)
            return
        now = time.monotonic()
        with self._lock:
            self._busy.discard(connection)
            self._idle.append(_Idle(connection, now))
            left = self._left_out(now)
        for old in left:
            old.close()

    def close(self) -> None:
        """Close all connections, those in use as well."""
        with self._lock:
            self._closed = True
            left = [*self._busy, *(idle.connection for idle in self._idle)]
            self._busy.clear()
            self._idle.clear()
        for connection in left:
            connection.close()

    def _taken(self, origin: httpcore2.Origin) -> httpcore2.HTTPConnection:
        """Return a connection to a host for one request; a new one is not open yet."""
        while (kept := self._idle_to(origin)) is not None:
            if not kept.has_expired():
                return kept
            self._dropped(kept)
        connection = httpcore2.HTTPConnection(
            origin,
            ssl_context=self._ssl_context,
            keepalive_expiry=self._longest_idle_s,
            network_backend=self._backend,
        )
        with self._lock:
            self._busy.add(connection)
        return connection

    def _idle_to(self, origin: httpcore2.Origin) -> httpcore2.HTTPConnection | None:
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                connection = self._idle[place].connection
                if connection.can_handle_request(origin):
                    del self._idle[place]
                    self._busy.add(connection)
                    return connection
        return None

    def _dropped(self, connection: httpcore2.HTTPConnection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def _left_out(self, now: float) -> list[httpcore2.HTTPConnection]:
        """Take the idle connections that are too many or too old out."""
        left = []
        while self._idle and (
            self._closed
            or len(self._idle) > self._most_idle
            or now - self._idle[0].since > self._longest_idle_s
        ):
            left.append(self._idle.popleft().connection)
        return left


class _Closable(Protocol):
    """The stream of a response, as httpcore2's connections give it."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class _Body:
    """The body of a response, whose end frees the connection."""

    def __init__(
        self,
        stream: _Closable,
        connection: httpcore2.HTTPConnection,
        connections: KeptConnections,
    ) -> None:
        self._stream = stream
        self._connection = connection
        self._connections = connections
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._stream.close()
        finally:
            self._connections.keep(self._connection)
