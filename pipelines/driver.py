"""The driver's loop: rows from the manifest to the workers, outcomes from there to the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipelines.board import Board
from pipelines.dispatch import Dispatcher
from pipelines.errors import LeaseLostError, TooManyFailuresError
from pipelines.feeder import RowFeeder
from pipelines.prepare import Job
from pipelines.ray_actors import RayPool
from pipelines.recorder import Recorder
from pipelines.rows import ManifestEntry, Outcome, RejectedRow
from pipelines.selection import RowSelection
from pipelines.signals import StopRequest
from pipelines.stats import RunStats
from pipelines.tasks import DispatchPolicy, Settled

logger = logging.getLogger(__name__)

_STEP_S = 0.25
_MIN_AHEAD = 256


class Driver:
    """Works through one job on a pool of workers.

    Attributes:
        reached_end: every row of the manifest that was to be done has its record.
    """

    def __init__(
        self, job: Job, pool: RayPool, stats: RunStats, board: Board, stop: StopRequest
    ) -> None:
        self._job = job
        self._pool = pool
        self._stats = stats
        self._board = board
        self._stop = stop
        stylize = job.config.stylize
        self._recorder = Recorder(job.ledger, job.facts, job.config.output)
        selection = RowSelection(job.ledger, job.config.output, job.config.on_error, stats)
        self._feeder = RowFeeder(
            selection.pending(job.manifest.entries()),
            ahead=max(_MIN_AHEAD, 2 * stylize.max_actors * stylize.max_rows_in_flight),
        )
        self._source = ValidRows(self._feeder, self._reject)
        self._dispatcher = Dispatcher(pool, self._source, DispatchPolicy.from_config(stylize))
        self.reached_end = False

    def work(self) -> None:
        """Go on until every row is recorded, or until the run is asked to stop.

        Raises:
            RunError: the run cannot go on; what had ended is committed.
            StorageError: records cannot be written.
            ManifestError: the manifest cannot be read any further.
        """
        give_up_at: float | None = None
        try:
            while not self._dispatcher.done:
                for settled in self._dispatcher.step(_STEP_S):
                    self._settle(settled)
                self._recorder.commit_if_due()
                self._check()
                if self._board.due:
                    self._show()
                if give_up_at is not None and time.monotonic() > give_up_at:
                    break
                if self._stop.requested and give_up_at is None:
                    give_up_at = time.monotonic() + self._job.config.ray.stop_grace_s
                    self._dispatcher.drain()
        finally:
            self._recorder.flush()
        self.reached_end = self._dispatcher.complete
        self._show()

    def close(self) -> None:
        """End the driver's threads."""
        self._feeder.close()
        self._recorder.close()

    def _settle(self, settled: Settled) -> None:
        outcome = settled.outcome
        if outcome.failure is None:
            self._stats.add_completed(len(outcome.outputs))
        else:
            self._stats.add_failed(outcome.row_id, outcome.failure)
        self._recorder.add(settled.entry, outcome, settled.attempt)

    def _reject(self, entry: ManifestEntry, row: RejectedRow) -> None:
        self._settle(Settled(entry, Outcome(row_id=row.id, failure=row.failure), attempt=1))

    def _check(self) -> None:
        if self._job.lease.lost:
            raise LeaseLostError(
                f"{self._job.output.uri('')}: another driver has taken this output over, because "
                "nothing was heard of this one for a while; let the other one finish"
            )
        most = self._job.config.on_error.max_consecutive
        if most is not None and self._stats.consecutive_failed >= most:
            worst = self._stats.failure_examples()[0]
            raise TooManyFailuresError(
                f"{most} rows failed one after the other (on_error.max_consecutive), most of them "
                f"with {worst.code}, e.g. row {worst.row_id!r}: {worst.message}. Mend the cause "
                "and run the same command with --retry-failed"
            )

    def _show(self) -> None:
        self._board.show(
            self._waiting_for(),
            ready=self._dispatcher.workers_ready,
            actors=self._job.config.stylize.max_actors,
            in_flight=self._dispatcher.in_flight,
        )

    def _waiting_for(self) -> str:
        if self._stop.requested:
            return "stopping: finishing the rows on the actors"
        if not self._dispatcher.workers_ready:
            return "loading the model"
        activities = self._pool.poll_activity()
        if any(activity.drawing for activity in activities):
            return "drawing"
        if any(activity.fetching for activity in activities):
            return "fetching"
        if any(activity.storing for activity in activities):
            return "storing"
        return ""


class ValidRows:
    """The rows of a feeder that workers can work on; rejected ones are recorded on the way."""

    def __init__(
        self, feeder: RowFeeder, reject: Callable[[ManifestEntry, RejectedRow], None]
    ) -> None:
        self._feeder = feeder
        self._reject = reject

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""
        return self._feeder.exhausted

    def take(self, most: int) -> list[ManifestEntry]:
        """Up to `most` valid rows that are at hand."""
        valid = []
        for entry in self._feeder.take(most):
            if isinstance(entry.row, RejectedRow):
                self._reject(entry, entry.row)
            else:
                valid.append(entry)
        return valid
