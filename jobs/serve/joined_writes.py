"""A transport that sends the parts of an answer together."""

from __future__ import annotations

import asyncio
from typing import Any

_MOST_HELD = 64 * 1024
"""As many bytes are sent at once, so that a large answer is not in memory twice."""


class JoinedWrites(asyncio.Transport):
    """Holds written bytes until the end of a turn of the event loop, and sends them together.

    Uvicorn writes the head and the body of an answer apart, and uvloop sends each write at once:
    two system calls, and a client that wakes up for the head alone.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to `transport`."""
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes soon; at once, with all that is held, if they are many."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _MOST_HELD:
            self._send()

    def close(self) -> None:
        """Send the bytes that are held, and close the connection after them."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._held, self._size = [], 0
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are not sent yet."""
        return self._size + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Return True if the connection closes, or is closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 (of asyncio)
        """Return a fact about the connection; see asyncio."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read nothing for a while."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def is_reading(self) -> bool:
        """Return False while reading is paused."""
        return self._transport.is_reading()

    def _send(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
