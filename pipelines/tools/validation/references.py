"""Checks the references of a manifest: fetches and reads each different one once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pyarrow as pa

from pipelines.display import display_reference
from pipelines.keys.distinct import DistinctCount
from pipelines.manifest.ordinary import OrdinaryRows
from pipelines.rows import ManifestRow
from pipelines.tools.validation.check import Checks, CheckSpec, Placed
from pipelines.tools.validation.checked import CheckedParts
from pipelines.tools.validation.conclude import Conclusion
from pipelines.tools.validation.uses import Wanted, uses_of

_COUNTED_AT_ONCE = 4096


class CountedReferences:
    """Counts the different references of rows; memory does not grow with them."""

    def __init__(self) -> None:
        self._texts = DistinctCount()
        self._waiting: list[str] = []

    def __len__(self) -> int:
        self._flush()
        return len(self._texts)

    def add(self, row: ManifestRow) -> None:
        """Add the references of a row."""
        self._waiting.extend(display_reference(use.reference) for use in uses_of(row))
        if len(self._waiting) >= _COUNTED_AT_ONCE:
            self._flush()

    def add_ordinary(self, rows: OrdinaryRows) -> None:
        """Add the references of ordinary rows."""
        is_encoded = pa.array(rows.numbers["content_long_size"] > 0)
        self._texts.add(rows.contents.filter(is_encoded))
        self._texts.add(rows.styles)

    def _flush(self) -> None:
        self._texts.add(pa.array(self._waiting, pa.string()))
        self._waiting = []


def check_references(
    wanted: Wanted,
    checks: Checks,
    spec: CheckSpec,
    parts: CheckedParts,
    on_done: Callable[[int], None],
) -> Conclusion:
    """Check references; those with a result in `parts` are not checked again.

    Args:
        wanted: the references.
        checks: the way to check them.
        spec: the settings.
        parts: gets the results, also if this raises; a later call checks the others only.
        on_done: called with the number of references that have a result, since the last call.

    Raises:
        ManifestError: a file has changed or is damaged.
        StorageError: the results cannot be written.
    """
    try:
        with closing(checks(_missing(wanted, parts, on_done), spec)) as done:
            for results in done:
                parts.add(results)
                on_done(len(results))
    finally:
        parts.flush()
    return Conclusion.of(parts)


def _missing(
    wanted: Wanted, parts: CheckedParts, on_done: Callable[[int], None]
) -> Iterator[Placed]:
    """Yield the uses without a result."""
    place = 0
    for uses in wanted.first_uses():
        missing = parts.missing([use.mark for use in uses], place)
        on_done(len(uses) - len(missing))
        for at in missing:
            yield place + at, uses[at]
        place += len(uses)
