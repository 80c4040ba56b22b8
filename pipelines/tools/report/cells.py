"""Cells as JSON and as texts, column by column.

An ordinary cell is a text without control characters, a number that a browser has, or true or
false: Arrow writes all of a column at once. Any other cell goes through `values.shown`, one by one,
which decides how a cell is shown. Both ways give the same JSON values.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.arrow_types.shown import values_of
from pipelines.tools.report.own_columns import MOST_TEXT, value_text
from pipelines.tools.report.values import LARGEST_JS_INTEGER, LONGEST_TEXT, shown, visible

Flags = npt.NDArray[np.bool_]

_TYPES = pa.types
# The same characters as in `values.visible`; halves of surrogate pairs are not in valid UTF-8.
_ODD = "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x{9f}\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}]"
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"))


def own_json(column: pa.Array) -> pa.Array:
    """Return the JSON with which a browser shows each cell of a user's column; null for null."""
    column = _decoded(column)
    kind = column.type
    if _TYPES.is_string(kind) or _TYPES.is_large_string(kind):
        return text_json(column)
    if _TYPES.is_boolean(kind):
        return column.cast(pa.string())
    if _TYPES.is_integer(kind):
        return _with_slow(column.cast(pa.string()), column, _too_large(column), shown)
    if _TYPES.is_floating(kind):
        wide = column.cast(pa.float64())
        return _with_slow(wide.cast(pa.string()), column, _not_finite(wide), shown)
    return _slow(column, shown)


def plain_json(column: pa.Array) -> pa.Array:
    """Return the JSON of each cell of a column of the records; null for null."""
    kind = column.type
    if _TYPES.is_string(kind):
        return text_json(column)
    if _TYPES.is_boolean(kind) or _TYPES.is_integer(kind):
        return column.cast(pa.string())
    if _TYPES.is_floating(kind):
        wide = column.cast(pa.float64())
        return _without(wide.cast(pa.string()), _not_finite(wide))
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.string())
    return _slow(column, lambda value: value)


def text_json(texts: pa.Array) -> pa.Array:
    """Return the JSON of texts as the page shows them, see `values.visible`; null for null."""
    odd, is_bare = _odd_texts(texts, LONGEST_TEXT)
    quoted = texts.cast(pa.string()) if odd is None else _without(texts, odd).cast(pa.string())
    if not is_bare:
        for character, escaped in _ESCAPES:
            quoted = pc.replace_substring(quoted, character, escaped)
    joined = pc.binary_join_element_wise('"', quoted, '"', "")
    return joined if odd is None else _with_slow(joined, texts, odd, shown)


def ids_json(ids: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the JSON of all ids, and of odd ones as the page shows them, else null."""
    odd, _ = _odd_texts(ids, LONGEST_TEXT)
    if odd is None:
        return text_json(ids), pa.nulls(len(ids), pa.string())
    whole = _with_slow(text_json(ids), ids, odd, lambda value: value)
    differs = [
        json.dumps(visible(one)) if is_odd and visible(one) != one else None
        for one, is_odd in zip(values_of(ids), odd.tolist(), strict=True)
    ]
    return whole, pa.array(differs, pa.string())


def cell_texts(column: pa.Array) -> pa.Array:
    """Return the text of each cell of a user's column, to pick or search it; null for null."""
    column = _decoded(column)
    kind = column.type
    if _TYPES.is_boolean(kind) or _TYPES.is_integer(kind):
        return column.cast(pa.string())
    if _TYPES.is_string(kind) or _TYPES.is_large_string(kind):
        odd, _ = _odd_texts(column, MOST_TEXT)
        texts = column.cast(pa.string())
        return texts if odd is None else _replaced(texts, odd, _texts(column.filter(pa.array(odd))))
    return pa.array(_texts(column), pa.string())


def numbers_of(column: pa.Array, slow: Callable[[Any], float | None]) -> npt.NDArray[np.float64]:
    """Return the number of each cell; NaN for null, and for a cell without a finite number.

    Args:
        column: cells of any type.
        slow: returns the number of a cell that is neither an integer nor a float.
    """
    column = _decoded(column)
    if _TYPES.is_integer(column.type) or _TYPES.is_floating(column.type):
        numbers = column.cast(pa.float64(), safe=False)
        values: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
        return np.where(np.isfinite(values), values, np.nan)
    found = [slow(value) for value in values_of(column)]
    return np.array([np.nan if one is None else one for one in found], np.float64)


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if _TYPES.is_dictionary(column.type) else column


def _texts(column: pa.Array) -> list[str | None]:
    return [value_text(shown(value)) for value in values_of(column)]


def _odd_texts(texts: pa.Array, most: int) -> tuple[Flags | None, bool]:
    """Return the texts that are not shown as they are, if any, and if all others need no escape."""
    data = text_bytes(texts)
    has_ascii = not (data >= 127).any()
    is_bare = not ((data < 32) | (data == ord('"')) | (data == ord("\\"))).any()
    odd: Flags | None = None
    if not has_ascii or not is_bare:
        if not has_ascii and not _is_utf8(texts):
            return np.ones(len(texts), bool), False
        odd = _flags(pc.match_substring_regex(texts, _ODD))
    if len(data) > most and (pc.max(pc.binary_length(texts)).as_py() or 0) > most:
        long = _flags(pc.greater(pc.utf8_length(texts), most))
        odd = long if odd is None else odd | long
    return (odd if odd is not None and odd.any() else None), is_bare


def text_bytes(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bytes of all texts."""
    _, offsets, data = texts.buffers()
    width = np.int64 if _TYPES.is_large_string(texts.type) else np.int32
    if data is None or not len(texts):
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, width)
    return np.frombuffer(data, np.uint8)[ends[texts.offset] : ends[texts.offset + len(texts)]]


def _is_utf8(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _too_large(column: pa.Array) -> Flags | None:
    ends = pc.min_max(column).as_py()
    if max(abs(ends["min"] or 0), abs(ends["max"] or 0)) <= LARGEST_JS_INTEGER:
        return None
    return np.array(
        [value is not None and abs(value) > LARGEST_JS_INTEGER for value in column.to_pylist()]
    )


def _not_finite(column: pa.Array) -> Flags | None:
    values = column.to_numpy(zero_copy_only=False)
    odd = ~np.isfinite(values) & _flags(column.is_valid())
    return odd if odd.any() else None


def _flags(flags: pa.Array) -> Flags:
    found: Flags = pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
    return found


def _without(column: pa.Array, odd: Flags | None) -> pa.Array:
    return column if odd is None else pc.if_else(pa.array(odd), None, column)


def _with_slow(
    texts: pa.Array, column: pa.Array, odd: Flags | None, value: Callable[[Any], object]
) -> pa.Array:
    if odd is None:
        return texts
    return _replaced(texts, odd, _slow(column.filter(pa.array(odd)), value).to_pylist())


def _replaced(texts: pa.Array, odd: Flags, values: list[str | None]) -> pa.Array:
    return pc.replace_with_mask(texts, pa.array(odd), pa.array(values, pa.string()))


def _slow(column: pa.Array, value: Callable[[Any], object]) -> pa.Array:
    cells = values_of(column)
    return pa.array([None if one is None else json.dumps(value(one)) for one in cells], pa.string())
