"""Finds rows whose style weights change the image, in whole columns.

Weights change nothing if there are none, or if each of the row's styles has a weight of 1. A row
with another number of ones is rejected, so it must not pass for a row without weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.inputs import DefaultsConfig
from pipelines.fields.table import STYLE_COLUMNS

Flags = npt.NDArray[np.bool_]
"""A flag per row, `[n]`."""
Counts = npt.NDArray[np.int64]
"""A number per row, `[n]`."""

_LISTED = "style_images"


def weighted_rows(
    weights: pa.Array, columns: Mapping[str, pa.Array], defaults: DefaultsConfig
) -> Flags:
    """Flag the rows whose weights change the image.

    If the columns have types that hide this, for example lists as text, flag all rows with weights.

    Args:
        weights: the column of weights.
        columns: the other columns, by our names.
        defaults: the defaults for null cells.
    """
    given: Flags = pc.is_valid(weights).to_numpy(zero_copy_only=False)
    styles = _num_styles(columns, defaults, len(weights))
    if styles is None or not _is_list(weights.type) or not _is_real(weights.type.value_type):
        return given
    others = pc.not_equal(weights.flatten(), 1).fill_null(True)
    lengths = _lengths(weights)
    passed = np.concatenate([[0], np.cumsum(others.to_numpy(zero_copy_only=False))])
    ends = np.cumsum(lengths)
    has_others = passed[ends] > passed[ends - lengths]
    return np.asarray(given & (has_others | (lengths != styles)))


def _num_styles(
    columns: Mapping[str, pa.Array], defaults: DefaultsConfig, num_rows: int
) -> Counts | None:
    """Count the styles of each row; None if the types of the columns do not tell."""
    total = np.zeros(num_rows, np.int64)
    for name in STYLE_COLUMNS:
        default = getattr(defaults, name) or ()
        usual = len(default) if name == _LISTED else int(bool(default))
        column = columns.get(name, pa.nulls(num_rows))
        found = _num_references(column, is_listed=name == _LISTED)
        if found is None:
            return None
        total += np.where(column.is_null().to_numpy(zero_copy_only=False), usual, found)
    return total


def _num_references(column: pa.Array, *, is_listed: bool) -> Counts | None:
    if pa.types.is_dictionary(column.type):
        return _num_references(column.dictionary_decode(), is_listed=is_listed)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64)
    if is_listed:
        return _lengths(column) if _is_list(column.type) else None
    texts = (pa.types.is_string, pa.types.is_large_string)
    if any(is_kind(column.type) for is_kind in (*texts, pa.types.is_binary)):
        filled = pc.greater(pc.binary_length(column), 0).fill_null(False)
        return np.asarray(filled.to_numpy(zero_copy_only=False), np.int64)
    return None


def _lengths(column: pa.Array) -> Counts:
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_list, pa.types.is_large_list))


def _is_real(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_integer, pa.types.is_float32, pa.types.is_float64)
    return any(is_kind(kind) for is_kind in kinds)
