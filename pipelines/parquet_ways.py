"""Decides how to read the row groups of a Parquet file with bounded memory.

Parquet stores a repeated value once, so that a file of 1 MB may hold 20,000 rows of 1 MB each. A
column with such values is found by its longest repeated value, which is read first, and is then
read as a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.arrow_sizes import has_views

SLICE_BYTES = 64 * 2**20
"""The values of one batch, as `pipelines.arrow_sizes` measures them, if no row alone is larger."""

_BATCH_BYTES = 8 * 2**20
# Buffered, or each column of a row group would be held whole.
BUFFERED: Mapping[str, Any] = {"buffer_size": 4 * 2**20, "pre_buffer": False}
"""Options of `pyarrow.parquet.ParquetFile` to read a few rows at a time."""

_LONG_VALUE = 32 * 2**10
_MANY_BYTES = 256 * 2**20
_ITEM_BYTES = 8
_SIMILAR = 4
SUSPECT_BYTES = 10**9
"""A column of a row group that is larger must not be `_MOST_EXPANSION` times its data."""
_MOST_EXPANSION = 1000


class ExpansionError(Exception):
    """A column is a thousand times as large as its data in the file, and over 1 GB.

    Attributes:
        column: its name.
    """

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class _Leaf(NamedTuple):
    """A column of values, as Parquet stores them.

    Attributes:
        place: its place in the file.
        path: its name, with the names of the columns that it is in.
        column: the column of the table that it is in.
        is_list: True if a row may have many values.
        item_bytes: the size of a value; None for text and bytes.
        encodable: True if it can be read as a dictionary and decoded.
    """

    place: int
    path: str
    column: str
    is_list: bool
    item_bytes: int | None
    encodable: bool


@dataclass(frozen=True)
class Way:
    """A way to read some row groups: the rows per batch, and the leaves read as dictionaries."""

    rows: int
    encoded: tuple[str, ...]

    def joined(self, other: Way) -> Way | None:
        """Return a way to read both, or None: batches go across row groups of similar rows."""
        fewer, more = sorted((self.rows, other.rows))
        if self.encoded != other.encoded or more > _SIMILAR * fewer:
            return None
        return Way(fewer, self.encoded)


def ways(
    parquet: pq.ParquetFile, source: BinaryIO, wanted: set[str], most_rows: int, groups: range
) -> Iterator[tuple[list[int], Way]]:
    """Yield runs of row groups, each with the way to read them.

    Args:
        parquet: the file.
        source: the same file, for other readers of it.
        wanted: the names of the columns to read.
        most_rows: the maximum number of rows per batch.
        groups: the numbers of the row groups to read.

    Raises:
        ExpansionError: a column cannot be read with bounded memory.
    """
    leaves = _leaves(parquet, wanted)
    run: list[int] = []
    current: Way | None = None
    for group in groups:
        way = _way(parquet, source, group, leaves, most_rows)
        joined = way if current is None else current.joined(way)
        if joined is None:
            assert current is not None
            yield run, current
            run, joined = [], way
        current = joined
        run.append(group)
    if current is not None:
        yield run, current


def _leaves(parquet: pq.ParquetFile, wanted: set[str]) -> list[_Leaf]:
    found: list[_Leaf] = []
    index = 0
    for field in parquet.schema_arrow:
        count = _num_leaves(field.type)
        if field.name in wanted:
            places = range(index, index + count)
            found.extend(_leaf(parquet.schema, place, field) for place in places)
        index += count
    return found


def _leaf(schema: pq.ParquetSchema, index: int, field: pa.Field) -> _Leaf:
    leaf = schema.column(index)
    is_text = leaf.physical_type == "BYTE_ARRAY"
    item_bytes = None if is_text else max(leaf.length or 0, _ITEM_BYTES)
    is_list = leaf.max_repetition_level > 0
    return _Leaf(index, leaf.path, field.name, is_list, item_bytes, not has_views(field.type))


def _num_leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _num_leaves(kind.storage_type)
    if pa.types.is_map(kind):
        return _num_leaves(kind.key_type) + _num_leaves(kind.item_type)
    if pa.types.is_nested(kind):
        return sum(_num_leaves(kind.field(index).type) for index in range(kind.num_fields))
    return 1


def _way(
    parquet: pq.ParquetFile, source: BinaryIO, group: int, leaves: list[_Leaf], most_rows: int
) -> Way:
    metadata = parquet.metadata.row_group(group)
    total, longest, encoded = 0.0, 1, []
    for leaf in leaves:
        chunk = metadata.column(leaf.place)
        _check_expansion(leaf, chunk)
        if leaf.item_bytes is not None:
            total += chunk.num_values * leaf.item_bytes
            continue
        value = _longest_repeated(parquet, source, group, leaf, chunk)
        worst = chunk.num_values * value if leaf.is_list else 0
        if value <= _LONG_VALUE and worst <= _MANY_BYTES:
            total += chunk.total_uncompressed_size
        elif leaf.encodable:
            encoded.append(leaf.path)
            total += chunk.num_values * _ITEM_BYTES
        else:
            longest = max(longest, value)
    per_row = max(total / max(metadata.num_rows, 1), 1.0)
    rows = min(most_rows, int(_BATCH_BYTES / per_row), SLICE_BYTES // longest)
    return Way(max(1, rows), tuple(encoded))


def _check_expansion(leaf: _Leaf, chunk: pq.ColumnChunkMetaData) -> None:
    size = chunk.total_uncompressed_size
    if leaf.is_list and leaf.item_bytes is not None:
        size = max(size, chunk.num_values * leaf.item_bytes)
    if size > SUSPECT_BYTES and size > _MOST_EXPANSION * chunk.total_compressed_size:
        raise ExpansionError(leaf.column)


def _longest_repeated(
    parquet: pq.ParquetFile,
    source: BinaryIO,
    group: int,
    leaf: _Leaf,
    chunk: pq.ColumnChunkMetaData,
) -> int:
    """Return the length of the longest value in the chunk's dictionary, or an upper bound."""
    size = int(chunk.total_uncompressed_size)
    if not chunk.has_dictionary_page:
        return 0
    if size <= _LONG_VALUE and not leaf.is_list:
        return size
    if not leaf.encodable:
        return size
    reader = encoded_reader(parquet, source, (leaf.path,))
    batch = next(reader.iter_batches(1, row_groups=[group], columns=[leaf.path]), None)
    values = None if batch is None else _dictionary(batch.column(0))
    if values is None or not len(values):
        return 0
    return int(pc.max(pc.binary_length(values)).as_py() or 0)


def _dictionary(column: pa.Array) -> pa.Array | None:
    """Return the dictionary of the one leaf that a column was read with."""
    while not pa.types.is_dictionary(column.type):
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif pa.types.is_struct(column.type):
            column = column.field(0)
        elif pa.types.is_map(column.type):
            found = (column.keys, column.items)
            column = next((c for c in found if _has_dictionary(c.type)), column.keys)
        elif pa.types.is_nested(column.type):
            column = column.values
        else:
            return None
    return column.dictionary


def _has_dictionary(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_has_dictionary(kind.field(index).type) for index in range(kind.num_fields))
    return bool(pa.types.is_dictionary(kind))


def encoded_reader(
    parquet: pq.ParquetFile, source: BinaryIO, paths: Sequence[str]
) -> pq.ParquetFile:
    """Open a file again, to read some leaves as dictionaries."""
    return pq.ParquetFile(
        source,
        metadata=parquet.metadata,
        read_dictionary=list(paths),
        **BUFFERED,
    )
