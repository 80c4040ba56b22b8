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

    Attributes:
        wishes: number of different references whose owners do not want them used for AI.
    """

    def __init__(self) -> None:
        self.wishes = 0
        self._known = KeySet()
        self._licences: Counter[str] = Counter()

    def add(self, records: pa.RecordBatch) -> None:
        """Add records with `COLUMNS`; a reference counts with what its first record states."""
        for record in records.select(list(COLUMNS)).to_pylist():
            found = list(_references(record))
            new = self._known.add([row_key(reference) for reference, _, _ in found])
            for (_, licence, wish), is_new in zip(found, new, strict=True):
                if is_new:
                    self._licences[licence or UNKNOWN] += 1
                    self.wishes += wish is not None

    def counts(self) -> dict[str, int]:
        """Return the number of references by licence, the most frequent first."""
        return dict(sorted(self._licences.items(), key=lambda item: (-item[1], item[0])))


def _references(record: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each reference of a record with its licence and wish."""
    content = record["content_image"]
    uris = [*(() if content is None else (content,)), *(record["style_images"] or ())]
    rights = record[REFERENCE_RIGHTS] or [None] * len(uris)
    for uri, stated in zip(uris, rights, strict=False):
        yield uri, (stated or {}).get("licence"), (stated or {}).get("wish")
    for style in record[LIBRARY_STYLES] or ():
        yield f"style {style['sha256']}", style["licence"], None
