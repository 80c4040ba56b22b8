"""The Arrow types of the columns in records: types that a Parquet file gives back as written.

Columns of other types are read with the type that stores them. A few types cannot be stored.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

_TYPES = pa.types
_OF_VIEWS = {
    pa.string_view(): pa.string(),
    pa.binary_view(): pa.binary(),
}
_WIDER = {
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
}
_IN_DICTIONARIES = {
    pa.string(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.binary(): pa.binary(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}
_REFUSED = b"uso.cannot_be_stored"


def stored_type(kind: pa.DataType, *, nested: bool = False) -> pa.DataType:
    """Return the type that stores this one in records.

    Views become strings, bytes and lists, run-end-encoded columns their values, and dictionaries
    within other types their values. Parquet has no seconds and no `date64`.

    Args:
        kind: any type; one that cannot be stored is returned unchanged, see `why_not_stored`.
        nested: True if the type is part of another one.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return _of_extension(kind)
    values = None if nested else _dictionary(kind)
    if values is not None:
        return values
    if _TYPES.is_dictionary(kind) or _TYPES.is_run_end_encoded(kind):
        return stored_type(kind.value_type, nested=nested)
    if _TYPES.is_nested(kind):
        made = _of_nested(kind)
        return kind if made == kind else made  # with the names of its parts
    if _TYPES.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    return _OF_VIEWS.get(kind) or _WIDER.get(kind) or kind


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema whose columns have their `stored_type`."""
    fields = [field.with_type(stored_type(field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)


def recorded_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of parts: with `stored_type`s, and dictionaries of any number of values.

    A part may hold the values of several files, more than the index type of each can count.
    """
    return pa.schema([field.with_type(_recorded(field.type)) for field in schema], schema.metadata)


def _recorded(kind: pa.DataType) -> pa.DataType:
    stored = stored_type(kind)
    if _TYPES.is_dictionary(stored):
        return pa.dictionary(pa.int32(), stored.value_type, ordered=stored.ordered)
    return stored


def refused(field: pa.Field, reason: str) -> pa.Field:
    """Return the field with a note for `why_not_stored`."""
    return field.with_metadata({_REFUSED: reason.encode()})


def why_not_stored(field: pa.Field) -> str | None:
    """Return the reason why records cannot have the column; None if they can."""
    if field.metadata and _REFUSED in field.metadata:
        return str(field.metadata[_REFUSED].decode())
    return _reason(field.type)


def contains(kind: pa.DataType, wanted: Callable[[pa.DataType], bool]) -> bool:
    """Return True if the type, or one inside it, is wanted."""
    return wanted(kind) or any(contains(inner, wanted) for inner in _inside(kind))


def _inside(kind: pa.DataType) -> list[pa.DataType]:
    if isinstance(kind, pa.BaseExtensionType):
        return [kind.storage_type]
    if _TYPES.is_dictionary(kind) or _TYPES.is_run_end_encoded(kind):
        return [kind.value_type]
    if _TYPES.is_nested(kind):
        return [kind.field(index).type for index in range(kind.num_fields)]
    return []


def _reason(kind: pa.DataType) -> str | None:
    found = _own_reason(kind)
    if found is not None:
        return found
    return next((reason for inner in _inside(kind) if (reason := _reason(inner))), None)


def _own_reason(kind: pa.DataType) -> str | None:
    if _TYPES.is_struct(kind):
        names = [field.name for field in kind]
        if not names:
            return "Parquet has no struct without fields"
        return "its struct has two fields of one name" if len(set(names)) < len(names) else None
    if _TYPES.is_fixed_size_list(kind) and not kind.list_size:
        return "Parquet has no list of size 0"
    if _TYPES.is_decimal(kind) and kind.scale < 0:
        return "Parquet has no decimal with a negative scale"
    if _TYPES.is_union(kind):
        return "Parquet has no type for any of several"
    return "Parquet has no such type" if _TYPES.is_interval(kind) else None


def _dictionary(kind: pa.DataType) -> pa.DataType | None:
    """Return the dictionary that Parquet has for this type; None if it has none."""
    values = _IN_DICTIONARIES.get(kind.value_type) if _TYPES.is_dictionary(kind) else None
    return values and pa.dictionary(kind.index_type, values, ordered=kind.ordered)


def _of_nested(kind: pa.DataType) -> pa.DataType:
    if _TYPES.is_struct(kind):
        return pa.struct([_field(field) for field in kind])
    if _TYPES.is_map(kind):
        key, item = _field(kind.key_field), _field(kind.item_field)
        return pa.map_(key, item, keys_sorted=kind.keys_sorted)
    if _TYPES.is_union(kind):
        return kind
    field = _field(kind.value_field)
    if _TYPES.is_fixed_size_list(kind):
        return pa.list_(field, kind.list_size)
    if _TYPES.is_large_list(kind) or _TYPES.is_large_list_view(kind):
        return pa.large_list(field)
    return pa.list_(field)


def _of_extension(kind: pa.BaseExtensionType) -> pa.DataType:
    inner = stored_type(kind.storage_type, nested=True)
    if inner == kind.storage_type:
        return kind
    if isinstance(kind, pa.JsonType):
        return pa.json_(inner)
    if isinstance(kind, pa.OpaqueType):
        return pa.opaque(inner, kind.type_name, kind.vendor_name)
    return inner


def _field(field: pa.Field) -> pa.Field:
    return field.with_type(stored_type(field.type, nested=True))
