"""Arrays of numbers in nameless temporary files, for what grows with the rows."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable

import numpy as np

from pipelines.errors import StorageError
from pipelines.keys.index import UInt64
from pipelines.storage.faults import fault_of

_NUMBER_BYTES = 8


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
    folder, num_bytes = tempfile.gettempdir(), _NUMBER_BYTES * count
    try:
        with tempfile.TemporaryFile(prefix="uso-keys-", dir=folder) as file:
            for first, numbers in pieces:
                file.seek(_NUMBER_BYTES * first)
                file.write(numbers.data)
            file.flush()
            mapped = mmap.mmap(file.fileno(), num_bytes, access=mmap.ACCESS_READ)
    except OSError as error:
        reason = (
            f"cannot hold the {what} of the rows, {num_bytes:,} bytes ({error.strerror}); free "
            "space there, or set the environment variable TMPDIR to another folder"
        )
        raise StorageError(folder, reason, fault_of(error) or "unusable") from error
    return np.frombuffer(mapped, np.uint64)
