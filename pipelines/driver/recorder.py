"""Collect records and commit them part by part, in a separate thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.config.output import OutputConfig
from pipelines.dispatch.tasks import Settled
from pipelines.driver.rounds import Retried
from pipelines.ledger.ledger import Ledger
from pipelines.record import TRIES, RunFacts, make_record
from pipelines.rows import ManifestEntry, Outcome

_MANY_ROWS = 4096
_MANY_BYTES = 64 * 2**20
_PAUSE_S = 0.25


class Recorder:
    """Turn outcomes into committed records.

    A row is done once its record is committed. A killed driver loses at most the outcomes of the
    last `commit_seconds` (or `commit_rows`) and of the commit in progress.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: RunFacts,
        config: OutputConfig,
        confirm: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Commit to `ledger`.

        Args:
            ledger: takes the records.
            run: facts that all records of the run share.
            config: intervals of commits.
            confirm: called before each commit; raises if the output is no longer this driver's.
            clock: in seconds.
        """
        self._ledger = ledger
        self._run = run
        self._config = config
        self._confirm = confirm
        self._clock = clock
        self._waiting: list[dict[str, Any]] = []
        self._retried: list[dict[str, Any] | pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._oldest = 0.0
        self._commit: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    @property
    def waiting(self) -> int:
        """Number of records that no commit has taken yet."""
        return len(self._waiting) + len(self._retried)

    def add(
        self, entry: ManifestEntry, outcome: Outcome, attempt: int, created_at: datetime
    ) -> None:
        """Add the outcome of one row to the next commit.

        Args:
            entry: the row.
            outcome: its outcome.
            attempt: number of the last attempt.
            created_at: time at which the row was given to a worker. Of two records of a row, the
                later one wins, so a driver that was suspended cannot replace newer records.
        """
        if not self._waiting:
            self._oldest = self._clock()
        self._waiting.append(
            make_record(entry, outcome, self._run, attempt=attempt, created_at=created_at)
        )
        self._waiting_bytes += entry.num_bytes

    def add_retried(self, settled: Settled, retried: Retried, created_at: datetime) -> None:
        """Add the new record of a row that has one already, and was tried again.

        Args:
            settled: the row.
            retried: its tries.
            created_at: see `add`.
        """
        if not self.waiting:
            self._oldest = self._clock()
        if retried.record is not None:
            self._retried.append(retried.record)
            return
        entry, outcome = settled.entry, settled.outcome
        record = make_record(
            entry, outcome, self._run, attempt=settled.attempt, created_at=created_at
        )
        self._retried.append({**record, TRIES: retried.tries})
        self._waiting_bytes += entry.num_bytes

    def commit_if_due(self) -> None:
        """Start a commit if enough records wait or one is old enough.

        If many records wait behind a slow commit, this call waits for it for a moment: outcomes
        that arrive faster than they are written would fill the memory. If they hold many bytes, it
        waits until the commit has ended.

        Raises:
            StorageError: the last commit could not write its records.
            RunError: the output is no longer this driver's; waiting records are dropped.
        """
        if self._commit is not None and self._waiting_bytes >= 2 * _MANY_BYTES:
            wait([self._commit])
        if self._commit is not None and len(self._waiting) >= _MANY_ROWS + self._config.commit_rows:
            wait([self._commit], timeout=_PAUSE_S)
        if self._commit is not None and self._commit.done():
            self._commit.result()
            self._commit = None
        if self._commit is None and self._is_due():
            self._commit = self._thread.submit(self._append, *self._taken())

    def flush(self) -> None:
        """Commit all waiting records and return when they are written."""
        if self._commit is not None:
            self._commit.result()
            self._commit = None
        if self.waiting:
            self._thread.submit(self._append, *self._taken()).result()

    def close(self) -> None:
        """End the thread without committing waiting records; see `flush`."""
        self._thread.shutdown()

    def _taken(self) -> tuple[list[dict[str, Any]], list[dict[str, Any] | pa.RecordBatch]]:
        taken = self._waiting, self._retried
        self._waiting, self._retried, self._waiting_bytes = [], [], 0
        return taken

    def _is_due(self) -> bool:
        if self.waiting >= self._config.commit_rows or self._waiting_bytes >= _MANY_BYTES:
            return True
        age = self._clock() - self._oldest
        return bool(self.waiting) and age >= self._config.commit_seconds

    def _append(
        self, part: list[dict[str, Any]], retried: list[dict[str, Any] | pa.RecordBatch]
    ) -> None:
        self._confirm()
        self._ledger.append(part)
        self._ledger.replace(retried)
        if self._ledger.needs_compaction:
            self._ledger.compact_small()
