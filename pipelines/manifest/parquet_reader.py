"""Parquet files as raw rows, a record batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ManifestError
from pipelines.manifest.cells import UnreadableCell
from pipelines.manifest.columns import ColumnPlan, FileSurvey
from pipelines.manifest.row_parser import RawRow
from pipelines.manifest.source import ManifestFile

_BUFFER_BYTES = 4 * 2**20
_BATCH_ROWS = 2048
_BATCH_BYTES = 8 * 2**20
# A column of bytes may hold one picture many times, and its size on disk then says little.
_BATCH_ROWS_WITH_BYTES = 16


def survey_parquet(file: ManifestFile) -> FileSurvey:
    """What the footer says.

    Raises:
        ManifestError: the file is gone, unreadable or not Parquet.
    """
    with _parquet(file, file.data.open()) as parquet:
        return FileSurvey(file.uri, parquet.schema_arrow, parquet.metadata.num_rows)


def parquet_batches(file: ManifestFile, plan: ColumnPlan) -> Iterator[pa.RecordBatch]:
    """The planned columns, under the user's names, a small batch at a time.

    Raises:
        ManifestError: the file is gone, has changed, or is damaged.
    """
    with _parquet(file, file.data.open_all()) as parquet:
        schema = parquet.schema_arrow
        wanted = {*plan.inputs.values(), *plan.extra_sources}
        columns = [name for name in schema.names if name in wanted]
        yield from parquet.iter_batches(_batch_rows(parquet, columns), columns=columns)


def raw_rows(
    file: ManifestFile, batch: pa.RecordBatch, plan: ColumnPlan
) -> list[tuple[RawRow, dict[str, Any]]]:
    """The rows of a batch in Python, each with its pass-through cells.

    Raises:
        ManifestError: a column does not go into the type that other files have for it.
    """
    return list(zip(_input_rows(batch, plan), _extra_rows(file, batch, plan), strict=True))


@contextmanager
def _parquet(file: ManifestFile, source: BinaryIO) -> Iterator[pq.ParquetFile]:
    with source:
        try:
            # Buffered, or each column of a row group would be held whole.
            yield pq.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ManifestError(
                file.uri, f"is not a readable Parquet file ({_first_line(error)})"
            ) from error


def _batch_rows(parquet: pq.ParquetFile, columns: list[str]) -> int:
    schema, metadata = parquet.schema_arrow, parquet.metadata
    if any(_holds_bytes(schema.field(name).type) for name in columns):
        return _BATCH_ROWS_WITH_BYTES
    largest = 1.0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        largest = max(largest, group.total_byte_size / max(group.num_rows, 1))
    return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / largest)))


def _holds_bytes(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return _holds(kind, lambda part: any(is_kind(part) for is_kind in kinds))


def _holds(kind: pa.DataType, wanted: Callable[[pa.DataType], bool]) -> bool:
    """Whether the type, or one inside it, is wanted."""
    if pa.types.is_dictionary(kind):
        return _holds(kind.value_type, wanted)
    if pa.types.is_nested(kind):
        return any(_holds(kind.field(index).type, wanted) for index in range(kind.num_fields))
    return wanted(kind)


def _input_rows(batch: pa.RecordBatch, plan: ColumnPlan) -> Iterator[RawRow]:
    present = {ours: theirs for ours, theirs in plan.inputs.items() if theirs in batch.schema.names}
    if not present:
        return iter([{}] * batch.num_rows)
    columns = [_input_cells(batch.column(theirs)) for theirs in present.values()]
    return (dict(zip(present, cells, strict=True)) for cells in zip(*columns, strict=True))


def _input_cells(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
    except (ValueError, OverflowError):
        return [_input_cell(scalar) for scalar in column]


def _input_cell(scalar: pa.Scalar) -> Any:  # noqa: ANN401 (whatever a cell holds)
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return UnreadableCell("text that is not UTF-8")
    except (ValueError, OverflowError):
        return UnreadableCell(f"a {scalar.type} that cannot be read")


def _extra_rows(
    file: ManifestFile, batch: pa.RecordBatch, plan: ColumnPlan
) -> Iterator[dict[str, Any]]:
    names = plan.extra_schema.names
    if not names:
        return ({} for _ in range(batch.num_rows))
    columns = [
        _extra_cells(file, batch, source, field)
        for source, field in zip(plan.extra_sources, plan.extra_schema, strict=True)
    ]
    return (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))


def _extra_cells(
    file: ManifestFile, batch: pa.RecordBatch, source: str, field: pa.Field
) -> list[Any]:
    """The values in the unified type; as Arrow scalars where Python has none that is equal."""
    if source not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column(source)
    if column.type != field.type:
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ManifestError(
                file.uri,
                f"its column {source!r} does not go into {field.type}, which the other files "
                f"need ({_first_line(error)}); leave it out of manifest.keep_columns",
            ) from error
    # Python's times have no nanoseconds, and where pandas is installed they are dropped unsaid.
    if not _holds(field.type, lambda part: bool(part == pa.time64("ns"))):
        with suppress(ValueError, OverflowError):
            return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
    return [scalar if scalar.is_valid else None for scalar in column]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
