"""Readable ids for the rows of a table that have none."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.fields.cells import LONGEST_PATH
from pipelines.fields.kinds import NUMBERS
from pipelines.fields.table import FIELDS
from pipelines.manifest.row_ids import RowIds
from pipelines.tools.compose.names import stem

_NUMBER_LISTS = frozenset(field.name for field in FIELDS if field.kind is NUMBERS)
_KEYED = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)


def with_made_ids(columns: Mapping[str, pa.Array], ids: RowIds) -> pa.Array:
    """Return the ids of rows: given ones, and others from the content image's name and a hash.

    Args:
        columns: the columns by our names; references are as written, so that ids are the same
            wherever the table is.
        ids: the made ids so far; those of these rows are added.

    Returns:
        The ids; null for a row without one and without the name of a content image: a run makes
        its id from the row's content.
    """
    given = columns["id"]
    content = columns.get("content_image")
    if not given.null_count or content is None or not pa.types.is_string(content.type):
        return given
    is_named = pc.and_(
        pc.greater(pc.binary_length(content), 0),
        pc.invert(pc.starts_with(content, "data:")),
    )
    is_named = pc.and_(is_named, pc.less_equal(pc.utf8_length(content), LONGEST_PATH))
    is_made = pc.and_(pc.is_null(given), pc.fill_null(is_named, False))
    uris = content.filter(is_made).to_pylist()
    rows = _contents(columns).filter(is_made).cast(pa.binary()).to_pylist()
    names = [
        f"{stem(uri)}-{blake2b(row, digest_size=6).hexdigest()}"
        for uri, row in zip(uris, rows, strict=True)
    ]
    made = [
        name if ordinal == 1 else ids.variant(name, "-", ordinal)
        for name, ordinal in zip(names, ids.claim(names), strict=True)
    ]
    return pc.replace_with_mask(given, is_made, pa.array(made, pa.string()))


def _contents(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Join each row's cells that are text or numbers; other columns do not matter."""
    parts = []
    for name in sorted(columns):
        column = columns[name]
        if pa.types.is_list(column.type) and name in _NUMBER_LISTS:
            column = column.cast(pa.list_(pa.string()))
        if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
            column = pc.binary_join(column, "\n")
        if any(is_kind(column.type) for is_kind in _KEYED):
            parts.append(pc.fill_null(column.cast(pa.string()), ""))
    return pc.binary_join_element_wise(*parts, "\0")
