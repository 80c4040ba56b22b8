"""Reads Parquet in batches whose memory follows from the values, not from the size of the file.

A column with long repeated values is read as a dictionary, measured, and decoded a few rows at a
time; see `pipelines.parquet_ways`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow_sizes import (
    Flags,
    Sizes,
    most_bytes,
    row_sizes,
    slices,
    value_sizes,
)
from pipelines.parquet_ways import SLICE_BYTES, encoded_reader, ways

_KEPT_BYTES = 64 * 2**10


class LargeRow(NamedTuple):
    """A row over the limit.

    Attributes:
        num_bytes: its size.
        column: the column with its largest value.
    """

    num_bytes: int
    column: str


class Slice(NamedTuple):
    """Some rows, in order.

    Attributes:
        rows: the values, with the types of the file. Long values of a row that is too large are
            null.
        too_large: the rows over the limit, by their places.
    """

    rows: pa.RecordBatch
    too_large: dict[int, LargeRow]


def bounded_slices(  # noqa: PLR0913 (the options of one reading)
    parquet: pq.ParquetFile,
    source: BinaryIO,
    columns: Sequence[str],
    *,
    most_rows: int,
    most_row_bytes: int | None = None,
    use_threads: bool = True,
    groups: range | None = None,
) -> Iterator[Slice]:
    """Read columns in slices of up to `SLICE_BYTES`, or of one larger row.

    Args:
        parquet: the file.
        source: the same file, for other readers of it.
        columns: the names of the columns to read.
        most_rows: the maximum number of rows of a slice.
        most_row_bytes: the limit of a row; None: there is none.
        use_threads: decode columns in parallel.
        groups: the numbers of the row groups to read; None: all.

    Raises:
        ExpansionError: a column cannot be read with bounded memory.
    """
    wanted = set(columns)
    # Built anew from the file at each access.
    schema = pa.schema([field for field in parquet.schema_arrow if field.name in wanted])
    names = schema.names
    chosen = range(parquet.metadata.num_row_groups) if groups is None else groups
    for run, way in ways(parquet, source, wanted, most_rows, chosen):
        reader = encoded_reader(parquet, source, way.encoded) if way.encoded else parquet
        for batch in reader.iter_batches(
            way.rows, row_groups=run, columns=names, use_threads=use_threads
        ):
            yield from sliced(batch, schema, most_row_bytes)


def sliced(batch: pa.RecordBatch, schema: pa.Schema, most_row_bytes: int | None) -> Iterator[Slice]:
    """Split a batch by the sizes of its rows; see `bounded_slices`.

    Args:
        batch: the rows, with any column as a dictionary.
        schema: the columns as they are wanted.
        most_row_bytes: the limit of a row; None: there is none.
    """
    most = SLICE_BYTES if most_row_bytes is None else min(SLICE_BYTES, most_row_bytes)
    if most_bytes(batch.columns, len(batch)) <= most:
        yield Slice(_decoded(batch, schema), {})
        return
    sizes = row_sizes(batch.columns, len(batch))
    large = np.zeros(len(batch), bool) if most_row_bytes is None else sizes > most_row_bytes
    for part in slices(np.where(large, 0, sizes), SLICE_BYTES):
        places = np.arange(part.start, part.stop)
        yield _taken(batch, schema, places, most_row_bytes, sizes[part], large[part])


def _taken(
    batch: pa.RecordBatch,
    schema: pa.Schema,
    places: Sizes,
    most_row_bytes: int | None,
    sizes: Sizes,
    large: Flags,
) -> Slice:
    """Take rows; the long values of large ones become null, so that half of the limit is left."""
    # Taken, not sliced: a cast of a slice would decode all of a nested column.
    if most_row_bytes is None or not large.any():
        columns = [column.take(pa.array(places)) for column in batch.columns]
        return Slice(_decoded(pa.RecordBatch.from_arrays(columns, batch.schema.names), schema), {})
    longest = min(_KEPT_BYTES, most_row_bytes // (2 * len(batch.columns)))
    columns, found = [], {}
    largest = np.zeros(len(places), np.int64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        own = value_sizes(column)[places]
        columns.append(column.take(pa.array(places, mask=large & (own > longest))))
        for row in np.flatnonzero(large & (own > largest)).tolist():
            found[row] = LargeRow(int(sizes[row]), name)
        largest = np.maximum(largest, own)
    rows = _decoded(pa.RecordBatch.from_arrays(columns, batch.schema.names), schema)
    return Slice(rows, found)


def _decoded(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.types == schema.types:
        return batch
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in ((batch.column(field.name), field) for field in schema)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
