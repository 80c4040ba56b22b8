"""Parquet files as tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow_types.stored import contains
from pipelines.errors import ManifestError
from pipelines.manifest.arrow_batch import ArrowBatch
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.pandas_index import RangeIndex, range_index
from pipelines.manifest.source import ManifestFile
from pipelines.parquet_batches import bounded_slices
from pipelines.parquet_ways import BUFFERED, ExpansionError
from pipelines.storage.parquet_file import open_parquet

_BATCH_ROWS = 2048
_BATCH_ROWS_WITH_BYTES = 16
_BYTES = (pa.types.is_binary, pa.types.is_large_binary)


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file; see `pipelines.manifest.table.Table`."""

    file: ManifestFile
    schema: pa.Schema
    num_rows: int | None
    typed: bool = True
    index: RangeIndex | None = None
    groups: tuple[int, ...] = ()

    @classmethod
    def open(cls, file: ManifestFile) -> ParquetTable:
        """Read the footer.

        Raises:
            ManifestError: the file is gone, unreadable or not Parquet.
        """
        with file.data.open() as source, _readable(file, source) as parquet:
            schema, num_rows = parquet.schema_arrow, parquet.metadata.num_rows
            index = range_index(schema, num_rows)
            if index is not None:
                schema = index.with_field(schema)
            groups = tuple(_group_rows(parquet.metadata))
            return cls(file, schema, num_rows, index=index, groups=groups)

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""
        return self.file.uri

    def batches(
        self, plan: ColumnPlan, *, most_rows: int | None = None, groups: range | None = None
    ) -> Iterator[ArrowBatch]:
        """Yield the planned columns, a small batch at a time; see `Table.batches`.

        Raises:
            ManifestError: the file is gone, has changed, or is damaged.
        """
        with ExitStack() as stack:
            source = stack.enter_context(self.file.data.open_all())
            parquet = stack.enter_context(_readable(self.file, source))
            names = {*plan.inputs.values(), *plan.extra_sources}
            index = self.index if self.index is not None and self.index.name in names else None
            wanted = range(len(self.groups)) if groups is None else groups
            before = sum(self.groups[: wanted.start])
            for part in bounded_slices(
                parquet,
                source,
                sorted(names),
                most_rows=_batch_rows(parquet, names, most_rows),
                most_row_bytes=self.file.max_row_bytes,
                groups=wanted,
            ):
                rows = part.rows if index is None else index.with_index(part.rows, before)
                before += len(rows)
                yield ArrowBatch(self.uri, rows, plan, part.too_large)


@contextmanager
def _readable(file: ManifestFile, source: BinaryIO) -> Iterator[pq.ParquetFile]:
    try:
        yield open_parquet(source, **BUFFERED)
    except ExpansionError as error:
        raise ManifestError(
            file.uri,
            f"its column {error.column!r} is over 1 GB, and a thousand times as large as in the "
            "file; write the file with smaller row groups, or leave the column out of "
            "manifest.keep_columns",
        ) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ManifestError(file.uri, f"is not a readable Parquet file ({reason})") from error


def _group_rows(metadata: pq.FileMetaData) -> Iterator[int]:
    return (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))


def _batch_rows(parquet: pq.ParquetFile, names: set[str], most_rows: int | None) -> int:
    planned = [field for field in parquet.schema_arrow if field.name in names]
    if any(contains(field.type, _is_bytes) for field in planned):
        return _BATCH_ROWS_WITH_BYTES
    return most_rows or _BATCH_ROWS


def _is_bytes(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _BYTES)
