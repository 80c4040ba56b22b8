"""Which manifest rows a run works on, given what is recorded of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol

from pipelines.config.output import OnErrorConfig, OutputConfig
from pipelines.errors import RowsChangedError
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.ledger import Ledger, Recorded
from pipelines.manifest.manifest import Batch
from pipelines.rows import ManifestEntry
from pipelines.telemetry.stats import RunStats

logger = logging.getLogger(__name__)


class RowBatches(Protocol):
    """What rows are selected from; see `pipelines.manifest.manifest.Manifest`."""

    def batches(self, done: DoneRows) -> Iterator[Batch]:
        """All rows in order, without those that `done` allows to leave out unseen."""


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

    def pending(self, manifest: RowBatches) -> Iterator[list[ManifestEntry]]:
        """The rows that are to be worked on, in order; a list of them, perhaps empty, per batch.

        Most rows that are done are left out by the manifest, which need not read them for that.

        Raises:
            RowsChangedError: a completed row has changed, and `on_change` is `error`.
        """
        done = self._ledger.done_rows(retry_failed=self._retry_failed)
        for batch in manifest.batches(done):
            pending = self._pending(batch.entries)
            self._stats.skipped += batch.num_left_out + len(batch.entries) - len(pending)
            yield pending

    def _pending(self, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
        recorded = self._ledger.lookup([entry.row.id for entry in entries])
        return [
            entry
            for entry, known in zip(entries, recorded, strict=True)
            if known is None or self._again(entry, known)
        ]

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
