"""A Parquet file of any size that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.filesystems import Options
from pipelines.storage.new_file import new_file
from pipelines.storage.storage import Storage


def file_storage(url: str, options: Options | None = None) -> tuple[Storage, str]:
    """The folder of a file at `url`, and the file's name in it.

    Raises:
        StorageError: the URL's filesystem cannot be used.
    """
    folder, slash, name = url.rpartition("/")
    return Storage.at(folder + slash if slash else ".", options), name


@contextmanager
def new_parquet(storage: Storage, path: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write batches into a temporary file, which becomes `path` when the block ends well.

    Raises:
        StorageError: it cannot be written; what was at `path` before is still there.
    """
    with (
        new_file(storage, path) as local,
        pq.ParquetWriter(local, schema, compression="zstd") as writer,
    ):
        yield writer
