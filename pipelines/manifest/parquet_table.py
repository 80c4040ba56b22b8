"""Parquet files as tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow_types.stored import contains
from pipelines.errors import ManifestError
from pipelines.manifest.arrow_batch import ArrowBatch
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.source import ManifestFile
from pipelines.storage.parquet_file import open_parquet

_BUFFER_BYTES = 4 * 2**20
_BATCH_ROWS = 2048
_BATCH_BYTES = 8 * 2**20
# A column of bytes may hold one picture many times, and its size on disk then says little.
_BATCH_ROWS_WITH_BYTES = 16
_BYTES = (pa.types.is_binary, pa.types.is_large_binary)


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file; see `pipelines.manifest.table.Table`."""

    file: ManifestFile
    schema: pa.Schema
    num_rows: int | None
    typed: bool = True

    @classmethod
    def open(cls, file: ManifestFile) -> ParquetTable:
        """Read the footer.

        Raises:
            ManifestError: the file is gone, unreadable or not Parquet.
        """
        with _parquet(file, file.data.open()) as parquet:
            return cls(file, parquet.schema_arrow, parquet.metadata.num_rows)

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""
        return self.file.uri

    def batches(self, plan: ColumnPlan) -> Iterator[ArrowBatch]:
        """Yield the planned columns, a small batch at a time.

        Raises:
            ManifestError: the file is gone, has changed, or is damaged.
        """
        with _parquet(self.file, self.file.data.open_all()) as parquet:
            wanted = {*plan.inputs.values(), *plan.extra_sources}
            names = [name for name in parquet.schema_arrow.names if name in wanted]
            for columns in parquet.iter_batches(_batch_rows(parquet, names), columns=names):
                yield ArrowBatch(self.uri, columns, plan)


@contextmanager
def _parquet(file: ManifestFile, source: BinaryIO) -> Iterator[pq.ParquetFile]:
    with source:
        try:
            # Buffered, or each column of a row group would be held whole.
            yield open_parquet(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise ManifestError(file.uri, f"is not a readable Parquet file ({reason})") from error


def _batch_rows(parquet: pq.ParquetFile, names: list[str]) -> int:
    schema, metadata = parquet.schema_arrow, parquet.metadata
    if any(contains(schema.field(name).type, _is_bytes) for name in names):
        return _BATCH_ROWS_WITH_BYTES
    largest = 1.0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        largest = max(largest, group.total_byte_size / max(group.num_rows, 1))
    return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / largest)))


def _is_bytes(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _BYTES)
