"""Cells as Python values to show or to write as text; every cell has one.

Unlike `to_pylist`, which raises for years after 9999, for text that is not UTF-8 and for unknown
time zones, and which returns 00:00:00 for 24:00:00.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.arrow_types.stored import contains

_TYPES = pa.types
# Arrow raises its own errors, those of the time zones, and those of pandas if it is installed.
_NO_VALUE = (ValueError, OverflowError, LookupError, pa.ArrowException)
_NOT_A_DATE = "<value out of range"  # Arrow's own text
_PER_DAY = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}


def rows_of(columns: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Return the rows, each with its values by the names of the columns."""
    names = columns.schema.names
    values = [values_of(column) for column in columns.columns]
    if not values:
        return [{} for _ in range(columns.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def values_of(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the values; a date, a time or a text that Python has not is text."""
    if not contains(column.type, lambda kind: bool(_TYPES.is_time(kind))):
        try:
            return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
        except _NO_VALUE:
            pass
    return [_value(cell) for cell in column]


def _value(cell: pa.Scalar) -> Any:  # noqa: ANN401 (whatever a cell holds)
    if not cell.is_valid:
        return None
    kind = cell.type
    if isinstance(kind, pa.BaseExtensionType):
        return _value(cell.value) if _TYPES.is_nested(kind.storage_type) else _plain(cell)
    if _TYPES.is_dictionary(kind):
        return _value(cell.value)
    return _nested(cell) if _TYPES.is_nested(kind) else _plain(cell)


def _nested(cell: pa.Scalar) -> Any:  # noqa: ANN401 (a dict, or a list)
    if _TYPES.is_map(cell.type):
        return [tuple(map(_value, entry.values())) for entry in cell.values]
    if _TYPES.is_struct(cell.type):
        return {name: _value(inner) for name, inner in cell.items()}
    return [_value(item) for item in cell.values]


def _plain(cell: pa.Scalar) -> Any:  # noqa: ANN401 (whatever a cell holds)
    if _TYPES.is_time(cell.type) and cell.value == _PER_DAY[cell.type.unit]:
        return "24:00:00"
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return cell.as_buffer().to_pybytes().decode(errors="replace")
    except _NO_VALUE:
        return _text(cell)


def _text(cell: pa.Scalar) -> str:
    if isinstance(cell.type, pa.BaseExtensionType):
        return str(_plain(cell.value))
    zoned = _TYPES.is_timestamp(cell.type) and cell.type.tz is not None
    try:
        plain = cell.cast(pa.timestamp(cell.type.unit)) if zoned else cell
        text = str(plain.cast(pa.string()).as_py())
    except pa.ArrowException:
        text = _NOT_A_DATE
    if text.startswith(_NOT_A_DATE):
        return f"{cell.value} {cell.type}"
    return text.replace(" ", "T") + ("Z" if zoned else "")
