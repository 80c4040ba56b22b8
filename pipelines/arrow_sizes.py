"""The memory that Arrow values take as Python objects, computed before they become any.

A value that a column holds once may belong to many rows, for example in a dictionary. As Python
objects these rows have a copy each, so the size of the column says little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

VALUE_BYTES = 64
"""The approximate size of a value without its text: a Python object and a place in a list."""

Sizes = npt.NDArray[np.int64]
"""A number of bytes per row, `[n]`."""
Flags = npt.NDArray[np.bool_]
"""A flag per row, `[n]`."""

_TEXTS = (
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_large_string,
    pa.types.is_large_binary,
)
_VIEWS = (pa.types.is_string_view, pa.types.is_binary_view)
_LIST_VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    *_LIST_VIEWS,
)


def row_sizes(columns: Sequence[pa.Array], num_rows: int) -> Sizes:
    """Return the bytes of each row: its texts, and `VALUE_BYTES` for each value, `[n]`."""
    total = np.zeros(num_rows, np.int64)
    for column in columns:
        total += value_sizes(column)
    return total


def value_sizes(column: pa.Array) -> Sizes:
    """Return the bytes of each value of a column, `[n]`; see `row_sizes`."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        return _dictionary_sizes(column)
    if pa.types.is_nested(column.type):
        return _nested_sizes(column) + VALUE_BYTES
    if _is_any(column.type, _VIEWS):
        column = column.cast(pa.large_binary())
    if _is_any(column.type, _TEXTS):
        return _numbers(pc.binary_length(column)) + VALUE_BYTES
    return np.full(len(column), VALUE_BYTES, np.int64)


def most_bytes(columns: Sequence[pa.Array], num_rows: int) -> int:
    """Return an upper bound of the bytes of all rows; cheap for columns without nested types."""
    total = 0
    for column in columns:
        if _has_copies(column.type):
            total += int(value_sizes(column).sum())
        else:
            total += column.nbytes + num_rows * VALUE_BYTES
    return total


def slices(sizes: Sizes, most: int) -> Iterator[slice]:
    """Split rows into slices of up to `most` bytes, or of one row that is larger."""
    start, taken = 0, 0
    for row, size in enumerate(sizes.tolist()):
        if taken + size > most and row > start:
            yield slice(start, row)
            start, taken = row, 0
        taken += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def has_views(kind: pa.DataType) -> bool:
    """Return True if the type, or one inside it, is a view, which Arrow converts from few types."""
    if isinstance(kind, pa.BaseExtensionType):
        return has_views(kind.storage_type)
    if _is_any(kind, _VIEWS) or _is_any(kind, _LIST_VIEWS):
        return True
    if pa.types.is_nested(kind):
        return any(has_views(kind.field(index).type) for index in range(kind.num_fields))
    return False


def _has_copies(kind: pa.DataType) -> bool:
    """Return True if a value in memory may be the value of several rows, or hold many values."""
    if isinstance(kind, pa.BaseExtensionType):
        return _has_copies(kind.storage_type)
    return pa.types.is_dictionary(kind) or pa.types.is_nested(kind) or _is_any(kind, _VIEWS)


def _dictionary_sizes(column: pa.DictionaryArray) -> Sizes:
    # A null takes the extra entry at the end.
    sizes = np.append(value_sizes(column.dictionary), VALUE_BYTES)
    places = column.indices.cast(pa.int64()).fill_null(len(sizes) - 1)
    return np.asarray(sizes[places.to_numpy(zero_copy_only=False)])


def _nested_sizes(column: pa.Array) -> Sizes:
    """Return the sizes of the values inside each value."""
    kind = column.type
    if pa.types.is_map(kind):
        entries = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        column = column.cast(pa.list_(pa.field("entries", entries)))
    if _is_any(column.type, _LISTS):
        lengths = np.where(_nulls(column), 0, _numbers(pc.list_value_length(column)))
        passed = np.concatenate([[0], np.cumsum(value_sizes(column.flatten()))])
        ends = np.cumsum(lengths)
        return np.asarray(passed[ends] - passed[ends - lengths])
    if pa.types.is_struct(kind):
        return row_sizes(column.flatten(), len(column))
    return np.zeros(len(column), np.int64)


def _numbers(column: pa.Array) -> Sizes:
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), np.int64)


def _nulls(column: pa.Array) -> Flags:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)


def _is_any(kind: pa.DataType, kinds: Sequence[Callable[[pa.DataType], bool]]) -> bool:
    return any(is_kind(kind) for is_kind in kinds)
