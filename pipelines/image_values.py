"""Record columns with one value per image, as plug-ins of the worker declare them.

A plug-in declares the type of one image's value. Its column in the records holds a list with one
entry per image of the row, and a mark in the column's metadata. By the mark, the ledger and the
tools tell such a column from a user's own list, and need not know any plug-in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_MARK = {b"uso-batch.per_image": b"1"}
_OF_RUN = {b"uso-batch.of_run": b"1"}


def record_column(value: pa.Field) -> pa.Field:
    """Return the column of the records for a value that each image has."""
    return pa.field(value.name, pa.list_(value.type), metadata=_MARK)


def joined_column(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """Return a column for the values of both; None if their types are too different.

    Structs are joined: a run may compute other scores than the one before.
    """
    kind = _joined(one.type, other.type)
    return None if kind is None else one.with_type(kind)


def _joined(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one == other:
        return one
    if pa.types.is_list(one) and pa.types.is_list(other):
        values = _joined(one.value_type, other.value_type)
        return None if values is None else pa.list_(values)
    if not (pa.types.is_struct(one) and pa.types.is_struct(other)):
        return None
    fields = {field.name: field.type for field in one}
    for field in other:
        kind = _joined(fields.get(field.name, field.type), field.type)
        if kind is None:
            return None
        fields[field.name] = kind
    return pa.struct(list(fields.items()))


def of_run(column: pa.Field) -> pa.Field:
    """Mark a column of the records that a run fills, not the user."""
    return column.with_metadata(_OF_RUN)


def is_of_run(field: pa.Field) -> bool:
    """Return True if a run fills the column: one value per image, or another mark."""
    return is_per_image(field) or (field.metadata or {}).items() >= _OF_RUN.items()


def is_per_image(field: pa.Field) -> bool:
    """Return True if a column holds one value per image."""
    return (field.metadata or {}).items() >= _MARK.items()


def without_other_metadata(field: pa.Field) -> pa.Field:
    """Return a column with nothing in its metadata but our mark, if it has one."""
    if is_per_image(field):
        return field.with_metadata(_MARK)
    return of_run(field) if is_of_run(field) else field.remove_metadata()


def lowest(values: Iterable[Any] | None) -> float | None:
    """Return the lowest finite number among the values of a row's images; None if there is none."""
    numbers = [
        float(value)
        for value in values or ()
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    ]
    return min(filter(math.isfinite, numbers), default=None)


def of_images(
    column: pa.Array, rows: npt.NDArray[np.int64], index: npt.NDArray[np.int64]
) -> pa.Array:
    """Return the value of each image.

    Args:
        column: a list per row, or null.
        rows: `[n]`, the row of each image.
        index: `[n]`, the number of each image within its row, from 0.

    Returns:
        `[n]`; null for an image that its row has no value for.
    """
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    absent = index >= lengths[rows]
    places = np.where(absent, 0, starts[rows] + index)
    return pc.list_flatten(column).take(pa.array(places, pa.int64(), mask=absent))
