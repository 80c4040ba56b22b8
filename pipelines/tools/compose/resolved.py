"""Makes references absolute, a column at a time.

Two kinds of columns are seen at a glance: all references start like the first one, a URI or an
absolute path, or all are plain relative paths. The references of other columns are told apart one
by one.
"""

from __future__ import annotations

import json
import re
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.fields.cells import LEAST_BASE64, LONGEST_PATH, reference, references
from pipelines.manifest.reference_columns import is_plain_reference
from pipelines.manifest.references import resolve_reference
from uso_core.errors import InvalidRequestError

_ABSOLUTE = r"^(/|[A-Za-z][A-Za-z0-9+.\-]*://|(?i:data:|file:))"
# Dots, queries and the home folder, to which a folder is not simply prefixed.
_SPECIAL = r"(^|/)\.{1,2}(/|$)|\?|^~/"
_START = re.compile(r"/|[A-Za-z][A-Za-z0-9+.\-]*://")
# A text that is not a plain relative path starts with one of the first two, has another, or is long
# and without dots: then it may be base64.
_ODD_STARTS = ("/", ".")
_ODD_PARTS = (b":", b"?", b"~", b"[", b"/.", b";", b"\0")


def resolved(column: pa.Array, folder: str, *, json_lists: bool = False) -> pa.Array:
    """Make references absolute, as a run does.

    Bytes stay unchanged, and so do texts that a run rejects: it then shows them as they are.

    Args:
        column: references, or lists of them: texts, bytes, or structs with a path and bytes, as
            Hugging Face's images are.
        folder: the folder of relative ones, from `folder_url`.
        json_lists: True if a text may be a list in JSON.
    """
    if pa.types.is_list(column.type):
        items = resolved(column.flatten(), folder)
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, items, mask=mask)
    if pa.types.is_struct(column.type):
        return _resolved_structs(column, folder)
    if not pa.types.is_string(column.type) or _start_alike(column):
        return column
    if _are_plain(column):
        return pc.binary_join_element_wise(folder, column, "")
    return resolved_one_by_one(column, folder, json_lists=json_lists)


def _resolved_structs(column: pa.StructArray, folder: str) -> pa.Array:
    """Make the paths absolute; those beside bytes are names."""
    cells = dict(zip([field.name for field in column.type], column.flatten(), strict=True))
    if "path" not in cells:
        return column
    paths = resolved(cells["path"], folder)
    if "bytes" in cells:
        has_bytes = pc.greater(pc.binary_length(cells["bytes"]), 0).fill_null(False)
        paths = pc.if_else(has_bytes, cells["path"], paths)
    cells["path"] = paths
    return pa.StructArray.from_arrays(
        [*cells.values()], fields=[*column.type], mask=column.is_null()
    )


def _start_alike(column: pa.Array) -> bool:
    """Return True if all texts start like the first one, which is absolute."""
    first = column.drop_null()[:1]
    found = _START.match(first[0].as_py()) if len(first) else None
    return found is not None and _all(pc.starts_with(column, found[0]))


def _are_plain(column: pa.Array) -> bool:
    """Return True if a folder before each text makes it absolute."""
    lengths = pc.min_max(pc.binary_length(column)).as_py()
    if not 0 < (lengths["min"] or 0) <= lengths["max"] <= LONGEST_PATH:
        return False
    if lengths["max"] >= LEAST_BASE64 and not _all(pc.match_substring(column, ".")):
        return False
    texts = _bytes_of(column)
    if any(part in texts for part in _ODD_PARTS):
        return False
    return not any(pc.any(pc.starts_with(column, start)).as_py() for start in _ODD_STARTS)


def _bytes_of(column: pa.Array) -> bytes:
    """Return all texts, joined."""
    _, places, content = column.buffers()
    bounds = np.frombuffer(places, np.int32)[[column.offset, column.offset + len(column)]]
    return cast(bytes, content.slice(bounds[0], bounds[1] - bounds[0]).to_pybytes())


def _all(flags: pa.Array) -> bool:
    return pc.all(flags).as_py() is not False  # null: there are only nulls


def resolved_one_by_one(column: pa.Array, folder: str, *, json_lists: bool) -> pa.Array:
    """Make texts absolute, whatever they are; see `resolved`."""
    absolute = pc.or_(pc.match_substring_regex(column, _ABSOLUTE), pc.equal(column, ""))
    found = pc.if_else(absolute, column, pc.binary_join_element_wise(folder, column, ""))
    special = pc.or_(
        pc.match_substring_regex(column, _SPECIAL), pa.array(~is_plain_reference(column))
    )
    if json_lists:
        special = pc.or_(special, pc.match_substring(column, "["))
    special = pc.and_not(special, absolute)
    if not pc.any(special).as_py():
        return found
    exact = [
        _resolved_text(text, folder, json_lists=json_lists) if is_special else text
        for text, is_special in zip(column.to_pylist(), special.to_pylist(), strict=True)
    ]
    return pc.if_else(special, pa.array(exact, pa.string()), found)


def _resolved_text(text: str, folder: str, *, json_lists: bool) -> str:
    """Resolve one reference, or a JSON list of them; what a run rejects stays unchanged."""
    is_list = json_lists and text.lstrip().startswith("[")
    try:
        found = references("style_images", text) if is_list else [reference("style_images", text)]
    except InvalidRequestError:
        return text
    absolute = [resolve_reference(item, folder) for item in found if isinstance(item, str)]
    return json.dumps(absolute) if is_list else absolute[0]
