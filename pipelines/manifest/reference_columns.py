"""References in whole columns: the checks and the folder of `cells.reference`, for many at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.fields.cells import LEAST_BASE64, LONGEST_PATH
from pipelines.manifest.references import resolve_reference

Flags = npt.NDArray[np.bool_]
"""A flag per row, `[n]`."""

_URI = r"^[A-Za-z][A-Za-z0-9+.\-]*://"
_NO_PATH = r"(?i)^(data:|file:|image/)"
# Dots, queries and the home folder, to which a folder is not simply prefixed.
_SPECIAL = r"(^|/)\.{1,2}(/|$)|\?|^~/"


def is_plain_reference(column: pa.Array) -> Flags:
    """Return True for each cell that is certainly a URI, a path, or empty, `[n]`.

    `cells.reference` accepts such cells, and some others, of which it knows more.

    Args:
        column: texts in UTF-8; for null, any flag.
    """
    is_uri = pc.match_substring_regex(column, _URI)
    plain = is_uri
    if not pc.all(is_uri).as_py():
        # Base64 has no dots.
        length = pc.binary_length(column)
        has_dot = pc.match_substring(column, ".")
        fits = pc.or_(
            pc.less(length, LEAST_BASE64), pc.and_(has_dot, pc.less_equal(length, LONGEST_PATH))
        )
        odd = pc.or_(pc.match_substring(column, "://"), pc.match_substring_regex(column, _NO_PATH))
        plain = pc.or_(is_uri, pc.and_not(fits, odd))
    return _flags(pc.and_not(plain, pc.match_substring(column, "\0")))


def resolved_column(column: pa.Array, folder: str) -> pa.Array:
    """Make references absolute as `resolve_reference` does, `[n]`; null and empty ones stay.

    Args:
        column: references for which `is_plain_reference` is True.
        folder: a folder from `folder_url`.
    """
    absolute = pc.or_(pc.match_substring_regex(column, f"{_URI}|^/"), pc.equal(column, ""))
    if pc.all(absolute).as_py() is not False:
        return column
    found = pc.if_else(absolute, column, pc.binary_join_element_wise(folder, column, ""))
    special = pc.match_substring_regex(column, _SPECIAL)
    if resolve_reference("x", folder) != f"{folder}x":  # the folder has dots itself
        special = pc.or_(special, True)
    special = pc.and_not(special, absolute)
    if not pc.any(special).as_py():
        return found
    places = pc.indices_nonzero(special)
    exact = [resolve_reference(text, folder) for text in column.take(places).to_pylist()]
    return pc.replace_with_mask(found, special.fill_null(False), pa.array(exact, column.type))


def _flags(column: pa.Array) -> Flags:
    return np.asarray(column.fill_null(True).to_numpy(zero_copy_only=False), bool)
