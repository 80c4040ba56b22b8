"""Connections whose waits end at a deadline, whatever the library below them waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ssl import SSLContext
from typing import Any

import httpcore2

from pipelines.fetch.deadline import Deadline

_deadline: ContextVar[Deadline | None] = ContextVar("http_deadline", default=None)


def current_deadline() -> Deadline | None:
    """Return the deadline of the current thread."""
    return _deadline.get()


@contextmanager
def until(deadline: Deadline) -> Iterator[None]:
    """End every wait of this thread on a guarded connection at `deadline`.

    A time-out per read is not enough: a server that sends a byte now and then never reaches it.
    """
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class DeadlineStream(httpcore2.NetworkStream):
    """A connection whose waits end at the deadline of the current thread."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to `max_bytes`."""
        return self._inner.read(max_bytes, capped(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of `buffer`."""
        self._inner.write(buffer, capped(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """Return the same connection with TLS."""
        return DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, capped(timeout)))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's own signature
        """Return a property of the connection below."""
        return self._inner.get_extra_info(info)


def capped(timeout: float | None) -> float | None:
    """Return the shorter of `timeout` and the time to the deadline of the current thread."""
    deadline = current_deadline()
    if deadline is None:
        return timeout
    if deadline.remaining == 0:
        raise httpcore2.ReadTimeout("the time for this URI is over")
    return deadline.remaining if timeout is None else min(timeout, deadline.remaining)
