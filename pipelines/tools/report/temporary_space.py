"""Errors of the temporary folder, in which a report keeps its rows while it is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import StorageError
from pipelines.storage.faults import fault_of


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Name the remedy if the folder is full or not writable.

    Raises:
        StorageError: it is.
    """
    try:
        yield
    except OSError as error:
        reason = (
            f"cannot hold the rows of the report ({error.strerror or error}); free space there, or "
            "set the environment variable TMPDIR to another folder"
        )
        raise StorageError(str(folder.parent), reason, fault_of(error) or "unusable") from error
