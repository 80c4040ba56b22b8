"""A file of any size that is there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.storage.storage import Storage


@contextmanager
def new_file(storage: Storage, path: str) -> Iterator[Path]:
    """Write the local file that this gives; it becomes `path` when the block ends well.

    Raises:
        StorageError: it cannot be stored; what was at `path` before is still there.
    """
    with tempfile.TemporaryDirectory(prefix="uso-new-") as folder:
        local = Path(folder) / "new"
        yield local
        storage.write_from(path, local)
