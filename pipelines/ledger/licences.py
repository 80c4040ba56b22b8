"""Counts the references of an output by their licences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from pipelines.keys.index import row_key
from pipelines.keys.key_set import KeySet
from pipelines.record import LIBRARY_STYLES, REFERENCE_RIGHTS

UNKNOWN = "unknown"
"""Stands for the licence of a reference that states none."""

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
        rows = records.select(list(COLUMNS)).to_pylist()
        found = [each for record in rows for each in _references(record)]
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


def _references(record: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each reference of a record with its licence and wish."""
    content = record["content_image"]
    uris = [*(() if content is None else (content,)), *(record["style_images"] or ())]
    rights = record[REFERENCE_RIGHTS] or [None] * len(uris)
    for uri, stated in zip(uris, rights, strict=False):
        yield uri, (stated or {}).get("licence"), (stated or {}).get("wish")
    for style in record[LIBRARY_STYLES] or ():
        yield f"style {style['sha256']}", style["licence"], None
