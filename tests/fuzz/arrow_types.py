"""Arrow types of any depth that Parquet files may have, and columns of them.

Columns are made of Arrow's own arrays, never of Python's objects, which hold less.
"""

from __future__ import annotations

import decimal
import struct
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

_T = pa.types
_DAY_US = 86_400 * 10**6
_INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
_UNITS = ("s", "ms", "us", "ns")
_ZONES = (None, "UTC", "+05:30", "Europe/Berlin", "Mars/Olympus")
_PLAIN = [
    *(pa.null(), pa.bool_(), *_INTEGERS, pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3), pa.binary(16)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.duration(unit) for unit in _UNITS),
    *(pa.timestamp(unit, zone) for unit in _UNITS for zone in _ZONES),
    *(pa.decimal32(5, 2), pa.decimal64(12, 0), pa.decimal128(38, 0), pa.decimal128(20, 20)),
    *(pa.decimal256(38, 3), pa.decimal256(76, 10)),
    *(pa.uuid(), pa.bool8(), pa.json_(), pa.json_(pa.large_string()), pa.json_(pa.string_view())),
    *(pa.dictionary(index, pa.string()) for index in _INTEGERS),
    pa.dictionary(pa.int32(), pa.string(), ordered=True),
    *(pa.dictionary(pa.int8(), kind) for kind in (pa.binary(), pa.large_string(), pa.int64())),
    *(pa.dictionary(pa.int8(), kind) for kind in (pa.float64(), pa.binary(3), pa.timestamp("us"))),
]


def _nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    sizes = st.integers(1, 3)
    # A key of a map is never null.
    keys = st.sampled_from([kind for kind in _PLAIN if not _T.is_null(kind)])
    fields = st.lists(inner, min_size=1, max_size=3).map(
        lambda kinds: pa.struct([(f"f{at}", kind) for at, kind in enumerate(kinds)])
    )
    return st.one_of(
        st.tuples(st.sampled_from([pa.list_, pa.large_list]), inner).map(lambda it: it[0](it[1])),
        st.tuples(st.sampled_from([pa.list_view, pa.large_list_view]), inner).map(
            lambda it: it[0](it[1])
        ),
        st.tuples(inner, sizes).map(lambda it: pa.list_(*it)),
        fields,
        st.tuples(keys, inner, st.booleans()).map(lambda it: pa.map_(*it[:2], keys_sorted=it[2])),
        st.tuples(st.sampled_from([pa.int32(), pa.float16()]), sizes).map(
            lambda it: pa.fixed_shape_tensor(it[0], [it[1], 2])
        ),
        inner.filter(lambda kind: not isinstance(kind, pa.BaseExtensionType)).map(
            lambda kind: pa.opaque(kind, "own", "vendor")
        ),
    )


TYPES = st.recursive(st.sampled_from(_PLAIN), _nested, max_leaves=4)
"""Types of columns, nested up to a few levels."""


@st.composite
def column(draw: st.DrawFn, kind: pa.DataType, rows: int) -> pa.Array:
    """Generate a column with nulls and with values at the limits of its type."""
    valid = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    if _T.is_null(kind):
        return pa.nulls(rows)
    return _where(valid, draw(_filled(kind, rows)))


def exact(value: pa.Scalar) -> Any:
    """Return everything that a value says, the same for each type that may store it."""
    if not value.is_valid:
        return None
    kind = value.type
    if isinstance(kind, pa.BaseExtensionType) or _T.is_dictionary(kind):
        return exact(value.value)
    if _T.is_nested(kind):
        return _exact_parts(value)
    if _T.is_temporal(kind):
        return _nanoseconds(value)
    return struct.pack("d", value.as_py()) if _T.is_floating(kind) else value.as_py()


def _exact_parts(value: pa.Scalar) -> Any:
    if _T.is_map(value.type):
        return [(exact(entry["key"]), exact(entry["value"])) for entry in _entries(value)]
    if _T.is_struct(value.type):
        return {field.name: exact(value[at]) for at, field in enumerate(value.type)}
    return [exact(item) for item in value.values]


def _entries(value: pa.MapScalar) -> list[pa.Scalar]:
    names = ["key", "value"]
    return list(pa.StructArray.from_arrays(value.values.flatten(), names))


def _nanoseconds(value: pa.Scalar) -> int:
    kind = value.type
    if _T.is_date(kind):
        return int(value.value) * (1 if _T.is_date64(kind) else 86_400_000)
    return int(value.value) * {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]


def _where(valid: list[bool], values: pa.Array) -> pa.Array:
    """Put nulls into a column, whatever its type."""
    nothing = pa.nulls(1, values.type)
    parts = [values.slice(at, 1) if there else nothing for at, there in enumerate(valid)]
    return pa.concat_arrays(parts) if parts else values


@st.composite
def _filled(draw: st.DrawFn, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        if isinstance(kind, pa.JsonType):
            texts = draw(_listed(rows, st.sampled_from(['"a cat"', "1", "[1]", '{"a":null}'])))
            return pa.ExtensionArray.from_storage(kind, pa.array(texts, kind.storage_type))
        return pa.ExtensionArray.from_storage(kind, draw(_filled(kind.storage_type, rows)))
    if _T.is_dictionary(kind):
        values = draw(_filled(kind.value_type, rows))
        made = values.cast(_without_views(kind.value_type)).dictionary_encode()
        indices = made.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, made.dictionary, ordered=kind.ordered)
    if _T.is_nested(kind):
        return draw(_filled_nested(kind, rows))
    return draw(_primitive(kind, rows))


@st.composite
def _filled_nested(draw: st.DrawFn, kind: pa.DataType, rows: int) -> pa.Array:
    if _T.is_struct(kind):
        columns = [draw(column(field.type, rows)) for field in kind]
        return pa.StructArray.from_arrays(columns, fields=list(kind))
    if _T.is_fixed_size_list(kind):
        values = draw(column(kind.value_type, rows * kind.list_size))
        return pa.FixedSizeListArray.from_arrays(values, type=kind)
    lengths = draw(_listed(rows, st.integers(0, 3)))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    total = int(offsets[-1])
    if _T.is_map(kind):
        keys, items = draw(_filled(kind.key_type, total)), draw(column(kind.item_type, total))
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items, type=kind)
    values = draw(column(kind.value_type, total))
    if _T.is_list_view(kind) or _T.is_large_list_view(kind):
        made = pa.ListViewArray if _T.is_list_view(kind) else pa.LargeListViewArray
        wide = pa.int32() if _T.is_list_view(kind) else pa.int64()
        starts, sizes = pa.array(offsets[:-1], wide), pa.array(lengths, wide)
        return made.from_arrays(starts, sizes, values, type=kind)
    large = _T.is_large_list(kind)
    made, wide = (pa.LargeListArray, pa.int64()) if large else (pa.ListArray, pa.int32())
    return made.from_arrays(pa.array(offsets, wide), values, type=kind)


@st.composite
def _primitive(draw: st.DrawFn, kind: pa.DataType, rows: int) -> pa.Array:
    if _T.is_null(kind):
        return pa.nulls(rows)
    if _T.is_temporal(kind):
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(draw(_listed(rows, _ticks(kind))), wide).cast(kind)
    if _T.is_floating(kind):
        numbers = draw(_listed(rows, st.floats(width=kind.bit_width)))
        return pa.array(np.array(numbers, f"f{kind.bit_width // 8}"), kind)
    return pa.array(draw(_listed(rows, _values(kind))), kind)


def _values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if _T.is_boolean(kind):
        return st.booleans()
    if _T.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return st.integers(int(limits.min), int(limits.max))
    if _T.is_decimal(kind):
        most = 10**kind.precision - 1
        return st.integers(-most, most).map(lambda it: _decimal(it, kind.scale))
    if _T.is_fixed_size_binary(kind):
        return st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    is_text = any(is_kind(kind) for is_kind in (_T.is_string, _T.is_large_string))
    return st.text(max_size=20) if is_text or _T.is_string_view(kind) else st.binary(max_size=20)


def _ticks(kind: pa.DataType) -> st.SearchStrategy[int]:
    if _T.is_time(kind):
        per_day = {"s": 86_400, "ms": 86_400_000, "us": _DAY_US, "ns": _DAY_US * 1000}[kind.unit]
        return st.integers(0, per_day) | st.just(per_day)
    if _T.is_date64(kind):
        return st.integers(-(2**31), 2**31 - 1).map(lambda days: days * 86_400_000)
    if _T.is_timestamp(kind) and kind.unit == "s":  # Parquet stores milliseconds
        return st.integers(-(2**53), 2**53)
    most = 2 ** (kind.bit_width - 1)
    return st.integers(-most, most - 1) | st.sampled_from([-most, 0, most - 1])


def _decimal(digits: int, scale: int) -> decimal.Decimal:
    return decimal.Decimal(digits).scaleb(-scale, decimal.Context(prec=80))


def _listed(rows: int, values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=rows, max_size=rows)


def _without_views(kind: pa.DataType) -> pa.DataType:
    return {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}.get(kind, kind)
