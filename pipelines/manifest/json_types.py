"""Infers the Arrow types of JSON columns from all of their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

_MAX_DEPTH = 20


class JsonTypes:
    """The types of the columns of JSON rows, merged as rows are added."""

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType] = {}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add some rows."""
        columns: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        for name, values in columns.items():
            found = _inferred(values)
            self._types[name] = _merged(self._types.get(name, found), found)

    def schema(self) -> pa.Schema:
        """Return the columns so far; a column is text if its values have no type in common."""
        return pa.schema(
            [
                (name, kind if _is_storable(kind) else pa.string())
                for name, kind in self._types.items()
            ]
        )

    @staticmethod
    def fitted(value: Any, field: pa.Field) -> Any:  # noqa: ANN401 (any JSON value)
        """Return `value` so that it fits the field's type: as JSON text if that is text."""
        if value is None or isinstance(value, str):
            return value
        if pa.types.is_string(field.type):
            return json.dumps(value, ensure_ascii=False)
        return _with_floats(value, field.type)


def _with_floats(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 (any JSON value)
    """Replace integers by floats if the type has floats: Arrow refuses some integers."""
    if isinstance(value, int) and pa.types.is_floating(kind):
        return float(value)
    if isinstance(value, list) and pa.types.is_list(kind):
        return [_with_floats(item, kind.value_type) for item in value]
    if isinstance(value, dict) and pa.types.is_struct(kind):
        return {name: _with_floats(inner, kind.field(name).type) for name, inner in value.items()}
    return value


def _inferred(values: list[Any]) -> pa.DataType:
    try:
        return pa.array(values).type  # infer_type overlooks values that do not fit
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.string()


def _merged(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    schemas = [pa.schema([("_", one)]), pa.schema([("_", other)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()


def _is_storable(kind: pa.DataType, depth: int = 0) -> bool:
    """Return True if Parquet can hold the type, which excludes structs without fields.

    It cannot read back a type that is nested about 50 times.
    """
    if depth > _MAX_DEPTH:
        return False
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return False
    if not pa.types.is_nested(kind):
        return True
    return all(_is_storable(kind.field(index).type, depth + 1) for index in range(kind.num_fields))
