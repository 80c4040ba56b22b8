"""The fields of a sample as JSON, and their types for `datasets`."""

from __future__ import annotations

import base64
import json
import math
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.shown import values_of
from pipelines.arrow_types.stored import contains

_TYPES = pa.types
_ENTRY = ("key", "value")
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# JSON escapes line feeds, so in a list of values that are not nested, each is a line.
_LINES = json.JSONEncoder(ensure_ascii=False, separators=("\n", ":"), allow_nan=False)


def json_line(fields: dict[str, Any]) -> bytes:
    """Return the fields as one JSON object in UTF-8.

    Dates and times become ISO 8601, durations seconds, bytes base64, and maps lists of objects with
    `key` and `value`. NaN and infinities become null.
    """
    return _JSON.encode({name: _plain(value) for name, value in fields.items()}).encode()


def json_lines(rows: pa.Table) -> list[bytes]:
    """Return `json_line` of each row, in a tenth of the time; of columns of one name, the last."""
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    form, varying = [], []
    for name, column in columns.items():
        texts = _texts(column)
        key = f"{_JSON.encode(name)}:".replace("%", "%%")
        if len(set(texts)) == 1:
            form.append(key + texts[0].replace("%", "%%"))
        else:
            form.append(f"{key}%s")
            varying.append(texts)
    line = f"{{{','.join(form)}}}"
    if not varying:
        return [(line % ()).encode()] * rows.num_rows
    return [(line % texts).encode() for texts in zip(*varying, strict=True)]


def json_features(schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the types of `json_line`'s fields, as `features` of a dataset card lists them."""
    return [{"name": field.name, **_feature(field.type)} for field in schema]


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return the JSON of each value."""
    if column.null_count == len(column):
        return ["null"] * len(column)
    values, kind = values_of(column), column.type
    if not (_TYPES.is_string(kind) or _TYPES.is_integer(kind)):  # these are plain
        values = list(map(_plain, values))
    if contains(kind, _TYPES.is_nested):
        return list(map(_JSON.encode, values))
    return _LINES.encode(values)[1:-1].split("\n")


def _plain(value: Any) -> Any:  # noqa: ANN401 (any cell)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, tuple):  # an entry of a map
        return {name: _plain(inner) for name, inner in zip(_ENTRY, value, strict=True)}
    return _text(value)


def _text(value: Any) -> str | float:  # noqa: ANN401 (any cell)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if _TYPES.is_dictionary(kind):
        return _feature(kind.value_type)
    if _TYPES.is_struct(kind):
        return {"struct": [{"name": field.name, **_feature(field.type)} for field in kind]}
    if _TYPES.is_map(kind):
        entry = pa.struct(list(zip(_ENTRY, (kind.key_type, kind.item_type), strict=True)))
        return _feature(pa.list_(entry))
    if _TYPES.is_list(kind) or _TYPES.is_large_list(kind) or _TYPES.is_fixed_size_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("dtype", inner.get("struct", inner))}
    return {"dtype": _dtype(kind)}


def _dtype(kind: pa.DataType) -> str:
    if _TYPES.is_boolean(kind):
        return "bool"
    if _TYPES.is_floating(kind) or _TYPES.is_duration(kind):
        return "float64"
    return str(kind) if _TYPES.is_integer(kind) else "string"
