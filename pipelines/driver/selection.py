"""Which manifest rows a run works on, given what is recorded of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from pipelines.config.schema import OnErrorConfig, OutputConfig
from pipelines.driver.errors import RowsChangedError
from pipelines.driver.stats import RunStats
from pipelines.ledger.ledger import Ledger, Recorded
from pipelines.rows import ManifestEntry

logger = logging.getLogger(__name__)

_BATCH = 1024  # looked up at a time
_FIRST_BATCH = 16  # so that the first rows are there at once


class RowSelection:
    """Leaves out the rows that are done.

    A completed row is done as long as its fingerprint is the recorded one; where it is not,
    `output.on_change` decides. A failed row is tried again when its failure is a retryable one,
    when the row has changed, or when `on_error.retry_failed` says so.
    """

    def __init__(
        self, ledger: Ledger, output: OutputConfig, on_error: OnErrorConfig, stats: RunStats
    ) -> None:
        self._ledger = ledger
        self._on_change = output.on_change
        self._retry_failed = on_error.retry_failed
        self._stats = stats

    def pending(self, entries: Iterable[ManifestEntry]) -> Iterator[ManifestEntry]:
        """The rows that are to be worked on, in order.

        Raises:
            RowsChangedError: a completed row has changed, and `on_change` is `error`.
        """
        rows = iter(entries)
        size = _FIRST_BATCH
        while batch := list(islice(rows, size)):
            size = _BATCH
            recorded = self._ledger.lookup([entry.row.id for entry in batch])
            for entry, known in zip(batch, recorded, strict=True):
                if known is None or self._again(entry, known):
                    yield entry
                else:
                    self._stats.skipped += 1

    def _again(self, entry: ManifestEntry, known: Recorded) -> bool:
        same = known.has_fingerprint(entry.row.fingerprint)
        if known.status == "failed":
            return known.retryable or self._retry_failed or not same
        if same:
            return False
        self._note_change(entry.row.id)
        return self._on_change == "redo"

    def _note_change(self, row_id: str) -> None:
        what = (
            f"row {row_id!r} is completed, but its inputs, its parameters or the model have "
            "changed since"
        )
        if self._on_change == "error":
            raise RowsChangedError(
                f"{what}; set output.on_change to redo or keep, or choose another output.path"
            )
        if not self._stats.changed:
            does = "drawn again" if self._on_change == "redo" else "kept as they are"
            logger.warning(
                "%s; such rows are %s (output.on_change: %s)", what, does, self._on_change
            )
        self._stats.changed += 1
