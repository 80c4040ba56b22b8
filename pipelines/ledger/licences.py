"""Counts the references of an output by their licences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys.index import row_key
from pipelines.keys.key_set import KeySet
from pipelines.record import LIBRARY_STYLES, REFERENCE_RIGHTS

UNKNOWN = "unknown"
"""Stands for the licence of a reference that states none."""

_Reference = tuple[str, str | None, str | None]
"""A reference with its licence and wish."""

COLUMNS = ("content_image", "style_images", REFERENCE_RIGHTS, LIBRARY_STYLES)


class LicenceTally:
    """Counts different references, styles of a library included; see `KeySet` for the memory.

    The counts do not depend on the order of the records: a reference with two licences, in two
    records, counts for both, and one that any record states a wish of counts as wished.
    """

    def __init__(self) -> None:
        self._known, self._stated, self._wished = KeySet(), KeySet(), KeySet()
        self._pairs = KeySet()
        self._licences: Counter[str] = Counter()

    @property
    def references(self) -> int:
        """Number of different references."""
        return len(self._known)

    @property
    def wishes(self) -> int:
        """Number of different references whose owners do not want them used for AI."""
        return len(self._wished)

    def add(self, records: pa.RecordBatch) -> None:
        """Add records with `COLUMNS`."""
        found = _different(records.select(list(COLUMNS)))
        self._known.add([row_key(reference) for reference, _, _ in found])
        self._wished.add([row_key(reference) for reference, _, wish in found if wish])
        stated = [(reference, licence) for reference, licence, _ in found if licence]
        self._stated.add([row_key(reference) for reference, _ in stated])
        pairs = [row_key(f"{licence}\0{reference}") for reference, licence in stated]
        for (_, licence), is_new in zip(stated, self._pairs.add(pairs), strict=True):
            self._licences[licence] += is_new

    def counts(self) -> dict[str, int]:
        """Return the number of references by licence, the most frequent first."""
        counts = dict(self._licences)
        silent = self.references - len(self._stated)
        if silent:
            counts[UNKNOWN] = counts.get(UNKNOWN, 0) + silent
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _different(columns: pa.RecordBatch) -> list[_Reference]:
    """Return the references with their licences and wishes, equal ones mostly once."""
    flat = None
    if columns[LIBRARY_STYLES].null_count == len(columns):
        flat = _flat_references(columns)
    if flat is None:
        return [each for record in columns.to_pylist() for each in _references(record)]
    found = flat.group_by(flat.column_names).aggregate([]).to_pydict()
    return list(zip(*(found[name] for name in ("uri", "licence", "wish")), strict=True))


def _flat_references(columns: pa.RecordBatch) -> pa.Table | None:
    """Return all references, each with its licence and wish.

    Returns None if some record does not state one fact for each of its references.
    """
    contents, styles = columns["content_image"], columns["style_images"]
    rights = columns[REFERENCE_RIGHTS]
    own = contents.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    others = pc.fill_null(pc.list_value_length(styles), 0).to_numpy().astype(np.int64)
    counts = own + others
    stated = pc.fill_null(pc.list_value_length(rights), 0).to_numpy()
    if not ((stated == counts) | (stated == 0)).all():
        return None
    # Content images first, then all styles; `order` brings them into the order of the rows.
    rows = np.concatenate([np.flatnonzero(own), np.repeat(np.arange(len(own)), others)])
    order = np.argsort(rows, kind="stable")
    uris = pa.concat_arrays([contents.drop_null(), pc.list_flatten(styles)]).take(pa.array(order))
    has_facts = np.repeat(stated > 0, counts)
    places = pa.array(np.cumsum(has_facts) - 1, mask=~has_facts)
    facts = pc.list_flatten(rights).take(places)
    stated_by = {name: pc.struct_field(facts, name) for name in ("licence", "wish")}
    return pa.table({"uri": uris, **stated_by})


def _references(record: Mapping[str, Any]) -> Iterator[_Reference]:
    """Yield each reference of a record with its licence and wish."""
    content = record["content_image"]
    uris = [*(() if content is None else (content,)), *(record["style_images"] or ())]
    rights = record[REFERENCE_RIGHTS] or [None] * len(uris)
    for uri, stated in zip(uris, rights, strict=False):
        yield uri, (stated or {}).get("licence"), (stated or {}).get("wish")
    for style in record[LIBRARY_STYLES] or ():
        yield f"style {style['sha256']}", style["licence"], None
