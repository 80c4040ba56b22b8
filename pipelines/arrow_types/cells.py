"""Cells of a user's columns between the manifest and the records: nothing about them changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.stored import contains

_TYPES = pa.types


def cells_of(column: pa.Array) -> list[Any]:
    """Return the cells: as Python objects, or as Arrow scalars if Python may have no equal value.

    Python has no nanoseconds, no time 24:00:00, no year 10,000 and no text that is not UTF-8.
    Nulls are None.
    """
    if not contains(column.type, _is_inexact):
        try:
            return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
        except (ValueError, OverflowError):
            pass
    return [cell if cell.is_valid else None for cell in column]


def column_of(cells: Sequence[Any], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Return the column of the cells that `cells_of` made of columns of this type."""
    groups = groupby(cells, key=lambda cell: cell is None or isinstance(cell, pa.Scalar))
    parts = [
        part
        for scalars, group in groups
        for part in (_joined(group, kind) if scalars else _converted(list(group), kind))
    ]
    return pa.chunked_array(parts, kind) if len(parts) != 1 else parts[0]


def _joined(cells: Iterator[pa.Scalar | None], kind: pa.DataType) -> list[pa.Array]:
    # Not `pa.array`, which makes no arrays of extension types inside others.
    parts = [pa.nulls(1, kind) if cell is None else pa.repeat(cell, 1) for cell in cells]
    return [pa.concat_arrays(parts)]


def _converted(cells: list[Any], kind: pa.DataType) -> list[pa.Array]:
    made = pa.array(cells, kind)
    return made.chunks if isinstance(made, pa.ChunkedArray) else [made]


def _is_inexact(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType) or _TYPES.is_time(kind):
        return True
    if _TYPES.is_timestamp(kind) or _TYPES.is_duration(kind):
        return kind.unit == "ns" or getattr(kind, "tz", None) is not None
    return False
