"""Arrays of numbers in nameless temporary files, for what grows with the rows."""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from pipelines.errors import StorageError
from pipelines.keys.index import UInt64
from pipelines.storage.faults import fault_of

_NUMBER_BYTES = 8
_PREFIX = "uso-keys-"


def in_a_file(what: str, count: int, pieces: Iterable[tuple[int, UInt64]]) -> UInt64:
    """Write numbers to a file that disappears with the result, and return them, `[count]`.

    Looked-up pages stay in the system's page cache, which gives them back when memory is short.

    Args:
        what: the numbers, for messages.
        count: their number, at least 1.
        pieces: the numbers, each piece with the place of its first number.

    Raises:
        StorageError: the temporary folder is full or not writable.
    """
    with _writable(what, count), tempfile.TemporaryFile(prefix=_PREFIX) as file:
        _write(file, pieces)
        mapped = mmap.mmap(file.fileno(), _NUMBER_BYTES * count, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint64)


class NumbersFile:
    """Numbers in a file that disappears with this object; reading it takes no memory for others."""

    def __init__(self, what: str, count: int, pieces: Iterable[tuple[int, UInt64]]) -> None:
        """Write numbers; arguments and errors as for `in_a_file`."""
        self._count = count
        with _writable(what, count):
            self._file = tempfile.TemporaryFile(prefix=_PREFIX)  # noqa: SIM115 (closed below)
            weakref.finalize(self, self._file.close)
            _write(self._file, pieces)

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> UInt64:
        """Return the numbers from `start` to `stop`."""
        self._file.seek(_NUMBER_BYTES * start)
        return np.frombuffer(self._file.read(_NUMBER_BYTES * (stop - start)), np.uint64)


def _write(file: BinaryIO, pieces: Iterable[tuple[int, UInt64]]) -> None:
    for first, numbers in pieces:
        file.seek(_NUMBER_BYTES * first)
        file.write(numbers.data)
    file.flush()


@contextmanager
def _writable(what: str, count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder, num_bytes = tempfile.gettempdir(), _NUMBER_BYTES * count
        reason = (
            f"cannot hold the {what} of the rows, {num_bytes:,} bytes ({error.strerror}); free "
            "space there, or set the environment variable TMPDIR to another folder"
        )
        raise StorageError(folder, reason, fault_of(error) or "unusable") from error
