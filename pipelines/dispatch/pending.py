"""Select the manifest rows that a run works on, given the records of its output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pipelines.config.output import OnErrorConfig, OutputConfig
from pipelines.errors import RowsChangedError
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.ledger import Ledger, Recorded
from pipelines.ledger.row_state import Mark
from pipelines.manifest.manifest import Batch
from pipelines.manifest.passes import SurveyedBatch
from pipelines.rows import ManifestEntry, RejectedRow
from pipelines.telemetry.stats import RunStats

logger = logging.getLogger(__name__)


class RowBatches(Protocol):
    """Batches of manifest rows; see `pipelines.manifest.manifest.Manifest`."""

    def batches(self, done: DoneRows) -> Iterator[Batch]:
        """Yield all rows in order, without the rows that `done` allows to skip unread."""


class Surveyed(Protocol):
    """Batches of rows that are counted; see `pipelines.manifest.manifest.Manifest`."""

    def survey(self, done: DoneRows | None) -> Iterator[SurveyedBatch]:
        """Yield all rows, except the ones that `done` allows to skip unread."""


class RowSelection:
    """Skips the rows that are done.

    A completed row is done as long as it has its recorded fingerprint and its images; if the
    fingerprint or a reference differs, `output.on_change` decides. A failed row is retried if its
    failure is retryable, if the row or a reference has changed, or if `on_error.retry_failed` is
    set.
    """

    def __init__(
        self,
        ledger: Ledger,
        output: OutputConfig,
        on_error: OnErrorConfig,
        stats: RunStats,
        take_new_values: Callable[[ManifestEntry], None] = lambda _: None,
    ) -> None:
        """Select rows by the records of `ledger`.

        Args:
            ledger: the records.
            output: gives `on_change`.
            on_error: gives `retry_failed`.
            stats: counts the rows that are not selected.
            take_new_values: called with a row that is done, but recorded with other values in the
                user's own columns.
        """
        self._ledger = ledger
        self._on_change = output.on_change
        self._retry_failed = on_error.retry_failed
        self._stats = stats
        self._take_new_values = take_new_values

    def pending(self, manifest: RowBatches) -> Iterator[list[ManifestEntry]]:
        """Yield the pending rows in order, one list per batch, which may be empty.

        The manifest skips most done rows without reading them.

        Raises:
            RowsChangedError: a completed row has changed, and `on_change` is `error`.
        """
        done = self._ledger.done_rows(retry_failed=self._retry_failed)
        for batch in manifest.batches(done):
            pending = self._pending(batch.entries)
            self._stats.skipped += batch.num_skipped + len(batch.entries) - len(pending)
            yield pending

    def survey(self, manifest: Surveyed) -> Iterator[SurveyedBatch]:
        """Yield the pending rows for a pass that counts them: their entries, and ordinary rows.

        Raises:
            RowsChangedError: see `pending`.
        """
        done = self._ledger.done_rows(retry_failed=self._retry_failed)
        for batch in manifest.survey(done or None):
            pending = self._pending(batch.entries)
            self._stats.skipped += batch.num_skipped + len(batch.entries) - len(pending)
            yield batch._replace(entries=pending)

    def _pending(self, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
        recorded = self._ledger.lookup([entry.row.id for entry in entries])
        return [
            entry
            for entry, known in zip(entries, recorded, strict=True)
            if known is None or self._again(entry, known)
        ]

    def _again(self, entry: ManifestEntry, known: Recorded) -> bool:
        same = known.has_fingerprint(entry.row.fingerprint)
        if known.status == "completed" and isinstance(entry.row, RejectedRow):
            inputs = entry.row.inputs_fingerprint  # no image changes with the user's own columns
            same = same or (inputs is not None and known.has_fingerprint(inputs))
        same = same and Mark.REFERENCE_CHANGED not in known.mark
        if known.status == "failed":
            again = known.retryable or self._retry_failed or not same
        else:
            lost = Mark.IMAGE_LOST in known.mark
            if not same:
                self._note_change(entry.row.id)
            self._stats.lost_images += lost
            again = lost or (not same and self._on_change == "redo")
        if same and not again and not known.has_columns(entry.columns_digest):
            self._take_new_values(entry)
        return again

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
            does = "generated again" if self._on_change == "redo" else "kept as they are"
            logger.warning(
                "%s; such rows are %s (output.on_change: %s)", what, does, self._on_change
            )
        self._stats.changed += 1
