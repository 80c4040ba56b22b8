"""Digests of a row's own columns, which go to its record unchanged.

A run compares them to see that a recorded row has new values, without converting any cell to a
Python object. A digest does not depend on the order of the columns, on the storage of a value
(dictionary or not). It changes if a column is added or removed, even if its cell is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.arrow_types.cells import cells_of
from pipelines.arrow_types.stored import contains
from pipelines.keys.index import UInt64
from pipelines.keys.quick import mixed
from pipelines.manifest.source_digest import text_of

_BYTES = 8
_TYPES = pa.types
_NOTHING = np.uint64(0x9E3779B97F4A7C15)  # the digest of a row without values
_LARGE = pa.large_binary()


def own_digests(columns: Mapping[str, pa.Array], num_rows: int) -> npt.NDArray[np.int64]:
    """Compute the digest of each row, `[n]`; never 0.

    Args:
        columns: the columns, each `[n]`, by their names in the records.
        num_rows: n.
    """
    total = np.full(num_rows, _NOTHING)
    for name, column in columns.items():
        name_hash = np.frombuffer(_hash(name.encode()), np.uint64)
        values = mixed(_hashes(column) + name_hash)
        valid = pc.is_valid(column).to_numpy(zero_copy_only=False)
        total += np.where(valid, values, mixed(name_hash + _NOTHING))
    total[total == 0] = _NOTHING
    return total.view(np.int64)


def _hashes(column: pa.Array) -> UInt64:
    """Return a number for each cell, `[n]`; any number for null."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _hashes(column.storage)
    if _TYPES.is_null(kind):
        return np.zeros(len(column), np.uint64)
    if _TYPES.is_dictionary(kind):
        known = pc.is_valid(column.dictionary).to_numpy(zero_copy_only=False)
        return _taken(np.where(known, _hashes(column.dictionary), 0), column.indices)
    bits = _bits(column)
    if bits is not None:
        return bits
    if contains(kind, _TYPES.is_temporal):
        return _of_nested(column)
    texts = text_of(column)
    if texts is None:
        cells = [None if cell is None else repr(cell).encode() for cell in cells_of(column)]
        texts = pa.array(cells, _LARGE)
    coded = texts.dictionary_encode()
    distinct = b"".join(map(_hash, coded.dictionary.to_pylist()))
    return _taken(np.frombuffer(distinct, np.uint64), coded.indices)


def _of_nested(column: pa.Array) -> UInt64:
    """Return a number for each cell of lists, maps and structs, `[n]`, from those of its parts.

    Python has no nanoseconds, no time 24:00:00 and no year 10,000, so its objects do not tell all
    times apart.
    """
    kind = column.type
    if _TYPES.is_struct(kind):
        total = np.full(len(column), _NOTHING)
        for part in column.flatten():
            total = mixed(total + _of_parts(part))
        return total
    if _TYPES.is_map(kind):
        parts = mixed(_of_parts(column.keys)) + _of_parts(column.items)
    else:
        parts = _of_parts(column.values)
    cells = [_hash(parts[start:end].tobytes()) for start, end in _bounds(column)]
    return np.frombuffer(b"".join(cells), np.uint64)


def _bounds(column: pa.Array) -> Iterator[tuple[int, int]]:
    """Yield the first item and the end of each list or map in the array of all items."""
    kind = column.type
    if _TYPES.is_fixed_size_list(kind):
        starts = (np.arange(len(column)) + column.offset) * kind.list_size
        return zip(starts.tolist(), (starts + kind.list_size).tolist(), strict=True)
    offsets = column.offsets.to_numpy().tolist()
    if _TYPES.is_list_view(kind) or _TYPES.is_large_list_view(kind):
        sizes = column.sizes.to_numpy().tolist()
        return ((start, start + size) for start, size in zip(offsets, sizes, strict=True))
    return pairwise(offsets)


def _of_parts(column: pa.Array) -> UInt64:
    """Return a number for each cell, `[n]`, also for null."""
    valid = pc.is_valid(column).to_numpy(zero_copy_only=False)
    return np.where(valid, mixed(_hashes(column)), _NOTHING)


def _bits(column: pa.Array) -> UInt64 | None:
    """Return the bits of values that 8 bytes hold, `[n]`; None for another type."""
    kind = column.type
    if _TYPES.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif _TYPES.is_floating(kind):
        column = column.cast(pa.float64()).view(pa.int64())
    elif _TYPES.is_date32(kind) or _TYPES.is_time32(kind):
        column = column.view(pa.int32())
    elif _TYPES.is_temporal(kind) and kind.bit_width == 8 * _BYTES:
        column = column.view(pa.int64())
    elif not _TYPES.is_integer(kind):
        return None
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    wide = numbers.astype(np.uint64 if _TYPES.is_uint64(kind) else np.int64)
    return np.asarray(wide.view(np.uint64))


def _taken(values: UInt64, indices: pa.Array) -> UInt64:
    if not len(values):
        return np.zeros(len(indices), np.uint64)
    return np.asarray(values[indices.fill_null(0).to_numpy(zero_copy_only=False)])


def _hash(value: bytes) -> bytes:
    return blake2b(value, digest_size=_BYTES).digest()
