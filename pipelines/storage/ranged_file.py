"""A file object over ranged reads, for libraries that want to seek in a stored file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

ReadRange = Callable[[int, int], bytes]
"""Returns the bytes from the first position to the second, which is excluded."""


class RangedFile(io.RawIOBase):
    """A file of a known size; each read is one request, and nothing is cached.

    Parquet readers jump about in a file, so reading ahead would be wasted.
    """

    def __init__(self, read_range: ReadRange, num_bytes: int) -> None:
        """Read through `read_range`, whose errors pass through; nothing is contacted yet."""
        super().__init__()
        self._read_range = read_range
        self._num_bytes = num_bytes
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next read, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of the next read and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end; all that are left if negative."""
        left = max(0, self._num_bytes - self._position)
        count = left if size is None or size < 0 else min(size, left)
        if count == 0:
            return b""
        data = self._read_range(self._position, self._position + count)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any writable buffer)
        """Read into a buffer; returns the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
