"""New files of any size, Parquet or other, that are there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage


def file_storage(url: str, options: Options | None = None) -> tuple[Storage, str]:
    """Return the folder of the file at `url`, and the file's name in it.

    Raises:
        StorageError: the URL's filesystem cannot be used.
    """
    folder, slash, name = url.rpartition("/")
    return Storage.at(folder + slash if slash else ".", options), name


@contextmanager
def new_file(storage: Storage, path: str) -> Iterator[Path]:
    """Yield a local path to write to; that file becomes `path` if the block raises nothing.

    Raises:
        StorageError: it cannot be stored; a file that was at `path` before is still there.
    """
    with tempfile.TemporaryDirectory(prefix="uso-new-") as folder:
        local = Path(folder) / "new"
        yield local
        storage.write_from(path, local)


@contextmanager
def new_parquet(
    storage: Storage, path: str, schema: pa.Schema, dictionaries: Sequence[str] | None = None
) -> Iterator[pq.ParquetWriter]:
    """Yield a writer of record batches; its file becomes `path` if the block raises nothing.

    Args:
        storage: the folder of the file.
        path: the path of the file in it.
        schema: the columns.
        dictionaries: the paths of columns that hold each of their values once; None: all do.

    Raises:
        StorageError: it cannot be stored; a file that was at `path` before is still there.
    """
    with (
        new_file(storage, path) as local,
        pq.ParquetWriter(
            local,
            schema,
            compression="zstd",
            use_dictionary=True if dictionaries is None else list(dictionaries),
        ) as writer,
    ):
        yield writer
