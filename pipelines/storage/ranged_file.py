"""A stored file that is read in ranges, for readers that want a file object."""

from __future__ import annotations

import io

from pipelines.storage.storage import Storage


class RangedFile(io.RawIOBase):
    """A file of a known size: a few pieces of a large one are a few requests."""

    def __init__(self, storage: Storage, path: str, num_bytes: int) -> None:
        """Read `path`, which has `num_bytes`; nothing is contacted yet."""
        self._storage = storage
        self._path = path
        self._num_bytes = num_bytes
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next `read` begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there; returns the place, from the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._num_bytes}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that are left where it is negative.

        Raises:
            StorageError: they cannot be read.
        """
        end = self._num_bytes if size < 0 else min(self._at + size, self._num_bytes)
        if end <= self._at:
            return b""
        data = self._storage.read_range(self._path, self._at, end)
        self._at += len(data)
        return data
