"""Columns of Arrow's JSON type: a cell is the JSON of a value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.stored import contains


def holds_json(kind: pa.DataType) -> bool:
    """Return True if the type is JSON, or has JSON inside it."""
    return contains(kind, lambda inner: isinstance(inner, pa.JsonType))


def parsed(cell: Any, kind: pa.DataType, damaged: Callable[[str], Any]) -> Any:  # noqa: ANN401
    """Return the value of a cell of JSON, or the list of the values of a list of JSON.

    Args:
        cell: the cell as a Python object.
        kind: its type.
        damaged: returns the value of text that is not JSON.
    """
    if isinstance(kind, pa.JsonType) and isinstance(cell, str):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return damaged(cell)
    if isinstance(cell, list) and not pa.types.is_map(kind):
        return [parsed(item, kind.value_type, damaged) for item in cell]
    return cell


def texts_of(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return cells of JSON, or lists of them, as text: strings without their quotes.

    Args:
        column: the cells.
        kind: the type to return: text, or lists of text.
    """
    return pa.array([_text(cell, column.type) for cell in column.to_pylist()], kind)


def _text(cell: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 (text, a list of texts, or None)
    if isinstance(cell, list):
        return [_text(item, kind.value_type) for item in cell]
    value = parsed(cell, kind, damaged=str)
    return value if value is None or isinstance(value, str) else cell
