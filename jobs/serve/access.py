"""Counts and logs each request: one line, without secrets."""

from __future__ import annotations

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.serve import notes
from jobs.serve.metrics import Metrics

logger = logging.getLogger(__name__)

_QUIET = ("/healthz", "/readyz", "/metrics")
_CLIENT_HEADERS = (b"x-client-name", b"x-client-source", b"user-agent")
_MOST_OF_CLIENT = 80
_STREAMS = (b"application/x-ndjson", b"text/event-stream")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_GONE = 499
"""Status in the log for a client that went away before an answer; it is sent to nobody."""
_BROKEN = 500
_ID = re.compile("[a-z]{28}")


class Observed:
    """An ASGI app whose requests are counted and logged.

    A line has the template of the route instead of the URL, because the URL of a file holds its
    signature. Bodies and the header Authorization are never logged.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._metrics)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BaseException:
            exchange.status = exchange.status or _BROKEN
            raise
        finally:
            exchange.end(log=self._log)


class _Exchange:
    """One request and its answer, on the way through."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, metrics: Metrics) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._metrics = metrics
        self._started = time.perf_counter()
        self._notes = notes.begin()
        self._bytes_in = 0
        self._bytes_out = 0
        self._is_stream = False
        self.status = 0

    async def receive(self) -> Message:
        """Count the bytes of the body."""
        message = await self._receive()
        self._bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Note the status, and count the bytes of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if any(
                name == b"content-type" and value.startswith(_STREAMS)
                for name, value in message["headers"]
            ):
                self._is_stream = True
                self._metrics.streams.inc()
        else:
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    def end(self, *, log: bool) -> None:
        """Count the request, and write its line."""
        if self._is_stream:
            self._metrics.streams.dec()
        status = self.status or _GONE
        route = route_of(self._scope)
        seconds = self._metrics.note_request(route, status, self._started)
        if not log:
            return
        level = logging.DEBUG if self._scope["path"] in _QUIET else logging.INFO
        logger.log(
            level,
            "request_served route=%r status=%d ms=%.1f bytes_in=%d bytes_out=%d "
            "key=%s client=%r task_id=%s",
            route, status, seconds * 1000, self._bytes_in, self._bytes_out,
            self._notes.key or "-", client_of(self._scope), self._task_id(),
        )  # fmt: skip

    def _task_id(self) -> str:
        known = self._notes.task_id or self._scope.get("path_params", {}).get("task_id", "")
        return known if _ID.fullmatch(known) else "-"


def route_of(scope: Scope) -> str:
    """Return the method and the template of a request's route; `none` if there is no route."""
    path = getattr(scope.get("route"), "path", None)
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    return "none" if path is None else f"{method} {path}"


def client_of(scope: Scope) -> str:
    """Return the name of the client's program, as it says; empty if it does not."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    named = next((headers[name] for name in _CLIENT_HEADERS if name in headers), b"")
    return named.decode("latin-1")[:_MOST_OF_CLIENT]
