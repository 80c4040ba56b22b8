"""Converts columns to types that `datasets` and DuckDB read with their meaning."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

RULES = (
    "UUIDs and decimals of more than 38 digits are text, durations are seconds, maps are lists of "
    "objects with `key` and `value`, and other extension types are their storage: a tensor is a "
    "flat list, and JSON inside another type is text."
)

_DUCKDB_DIGITS = 38  # it reads longer decimals as DOUBLE
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OF_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
_TYPES = pa.types


def loader_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose columns have their `loader_type`."""
    return pa.schema([_field(field, nested=False) for field in schema])


def to_loader_types(records: pa.RecordBatch) -> pa.RecordBatch:
    """Return records whose columns have their `loader_type`."""
    columns = [to_loader_type(column) for column in records.columns]
    return pa.RecordBatch.from_arrays(columns, schema=loader_schema(records.schema))


def loader_type(kind: pa.DataType, *, nested: bool = False) -> pa.DataType:
    """Return the type that stores this one in a shard; the same type if the loaders read it.

    Args:
        kind: any type.
        nested: True if the type is part of another one.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(kind, nested=nested)
    if _TYPES.is_nested(kind):
        return _of_nested(kind)
    if _TYPES.is_dictionary(kind):
        inner = loader_type(kind.value_type)
        return kind if inner == kind.value_type else inner
    if _TYPES.is_duration(kind):
        return pa.float64()
    if _TYPES.is_decimal(kind):
        return _of_decimal(kind)
    return _OF_VIEWS.get(kind, kind)


def to_loader_type(array: pa.Array, *, nested: bool = False) -> pa.Array:
    """Return the values of an array with its `loader_type`."""
    kind = array.type
    target = loader_type(kind, nested=nested)
    if target == kind:
        return array
    if array.null_count == len(array):  # Arrow flattens no empty list of extension types
        return pa.nulls(len(array), target)
    return _converted(array, target)


def _converted(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _extension_values(array)
    if _TYPES.is_nested(kind):
        return _nested_values(array, target)
    if _TYPES.is_dictionary(kind):
        return to_loader_type(array.dictionary_decode())
    if _TYPES.is_duration(kind):
        ticks = array.cast(pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(ticks, float(_PER_SECOND[kind.unit]))
    return array.cast(target)


def _of_decimal(kind: pa.DataType) -> pa.DataType:
    if kind.precision > _DUCKDB_DIGITS:
        return pa.string()
    small = _TYPES.is_decimal32(kind) or _TYPES.is_decimal64(kind)
    return pa.decimal128(kind.precision, kind.scale) if small else kind


def _of_nested(kind: pa.DataType) -> pa.DataType:
    if _TYPES.is_struct(kind):
        return pa.struct([_field(field) for field in kind])
    if _TYPES.is_map(kind):
        return pa.list_(loader_type(_entry(kind), nested=True))
    if _TYPES.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field), kind.list_size)
    if _TYPES.is_large_list(kind) or _TYPES.is_large_list_view(kind):
        return pa.large_list(_field(kind.value_field))
    if _TYPES.is_list(kind) or _TYPES.is_list_view(kind):
        return pa.list_(_field(kind.value_field))
    return kind


def _of_extension(kind: pa.BaseExtensionType, *, nested: bool) -> pa.DataType:
    if isinstance(kind, pa.JsonType) and not nested:
        return kind
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    return loader_type(kind.storage_type)


def _extension_values(array: pa.ExtensionArray) -> pa.Array:
    if isinstance(array.type, pa.UuidType):
        values = array.to_pylist()
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if isinstance(array.type, pa.Bool8Type):
        return array.storage.cast(pa.bool_())
    return to_loader_type(array.storage)


def _nested_values(array: pa.Array, target: pa.DataType) -> pa.Array:
    nulls = array.is_null()
    if _TYPES.is_struct(target):
        columns = [to_loader_type(column, nested=True) for column in array.flatten()]
        return pa.StructArray.from_arrays(columns, fields=list(target), mask=nulls)
    if _TYPES.is_fixed_size_list(target):
        size = target.list_size
        values = array.values.slice(array.offset * size, len(array) * size)
        values = to_loader_type(values, nested=True)
        return pa.FixedSizeListArray.from_arrays(values, type=target, mask=nulls)
    return _list_values(array, target)


def _list_values(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Return a list, a view of lists or a map as a list; a null entry stays null."""
    if _TYPES.is_map(array.type):
        array = array.cast(pa.list_(_entry(array.type)))
    large = _TYPES.is_large_list(target)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64 if large else np.int32)
    made = pa.LargeListArray if large else pa.ListArray
    values = to_loader_type(array.flatten(), nested=True)
    return made.from_arrays(pa.array(offsets), values, type=target, mask=array.is_null())


def _field(field: pa.Field, *, nested: bool = True) -> pa.Field:
    return field.with_type(loader_type(field.type, nested=nested))


def _entry(kind: pa.MapType) -> pa.StructType:
    return pa.struct([("key", kind.key_type), ("value", kind.item_type)])
