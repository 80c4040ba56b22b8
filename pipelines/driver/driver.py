"""The driver's loop: pass rows from the manifest to the workers and outcomes to the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.feeder import RowFeeder, ValidRows
from pipelines.dispatch.pending import RowSelection
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.dispatch.workers import WatchedPool
from pipelines.driver.budget import check_budget
from pipelines.driver.output_guard import OutputGuard
from pipelines.driver.prepare import PreparedRun
from pipelines.driver.recorder import Recorder
from pipelines.driver.rounds import Retried, Rounds, further_tries
from pipelines.driver.signals import StopRequest
from pipelines.errors import ClusterError
from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.new_values import NewValues
from pipelines.moments import utc_now
from pipelines.record import NSFW_CONTENTS, SCORES
from pipelines.rows import ManifestEntry, ManifestRow, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.telemetry.progress import ProgressReporter, WorkerCounts
from pipelines.telemetry.snapshot import Queues
from pipelines.telemetry.stats import RunStats
from pipelines.worker.activity import Activity

logger = logging.getLogger(__name__)

_STEP_S = 0.25
_LOOK_S = 0.02
_MIN_AHEAD = 256
_MOST_PATHS = 3
_GUARD_PATIENCE_S = 20  # a worker has already waited as long as storage does


class Driver:
    """Works through one run.

    Attributes:
        reached_end: True if every pending row of the manifest has its record.
    """

    def __init__(
        self, prepared: PreparedRun, stats: RunStats, progress: ProgressReporter, stop: StopRequest
    ) -> None:
        self._prepared = prepared
        self._stats = stats
        self._progress = progress
        self._stop = stop
        stylize = prepared.config.stylize
        self._recorder = Recorder(
            prepared.ledger, prepared.facts, prepared.config.output, prepared.confirm_lease
        )
        self._new_values = NewValues(prepared.manifest.extra_schema)
        selection = RowSelection(
            prepared.ledger,
            prepared.config.output,
            prepared.config.on_error,
            stats,
            self._new_values.add,
        )
        self._ahead = max(_MIN_AHEAD, 2 * stylize.max_actors * stylize.most_rows_in_flight)
        self._feeder = RowFeeder(
            selection.pending(prepared.manifest),
            ahead=self._ahead,
        )
        first = ValidRows(self._feeder, self._reject)
        self._rounds = further_tries(prepared, first, self._recorder.flush, self._ahead)
        self._source: ValidRows | Rounds = self._rounds or first
        output = Storage.at(
            prepared.config.output.path,
            prepared.spec.storage,
            patience_s=min(_GUARD_PATIENCE_S, prepared.config.output.give_up_after_s),
            create=False,
        )
        self._output_guard = OutputGuard(output)
        on_one_machine = prepared.config.ray.address in ("local", "none")
        self._before_loading = (
            "starting the actors" if on_one_machine else "waiting for a node with room"
        )
        self.reached_end = False

    def find_work(self) -> bool:
        """Wait for the first row that needs a worker; return False if there is none.

        Rejected rows on the way are recorded.

        Raises:
            RunError, StorageError, ManifestError: see `work`.
        """
        while not (self._source.look_ahead() or self._source.exhausted or self._stop.requested):
            time.sleep(_LOOK_S)
            self._recorder.commit_if_due()
            self._show("looking for rows that are not recorded yet")
        self._recorder.flush()
        self.reached_end = self._source.exhausted
        return not (self._source.exhausted or self._stop.requested)

    @property
    def policy(self) -> DispatchPolicy:
        """The policy of a run with actors of its own."""
        return DispatchPolicy.from_config(
            self._prepared.config.stylize, self._prepared.dimensions.encoding
        )

    def work(self, pool: WatchedPool, policy: DispatchPolicy | None = None) -> None:
        """Work until every row is recorded or a stop is requested.

        Args:
            pool: the workers.
            policy: the policy; None: that of a run with actors of its own.

        Raises:
            RunError: the run cannot continue; finished rows are committed.
            StorageError: records or images cannot be written.
            ManifestError: the rest of the manifest cannot be read.
        """
        dispatcher = Dispatcher(
            pool,
            self._source,
            policy or self.policy,
            on_failure=self._output_guard.look_into,
            stamp=self._prepared.ledger.stamp,
        )
        give_up_at: float | None = None
        try:
            while not dispatcher.done:
                for settled in dispatcher.step(_STEP_S):
                    self._settle(settled)
                self._recorder.commit_if_due()
                self._check(pool)
                self._show_work(dispatcher, pool)
                if give_up_at is not None and time.monotonic() > give_up_at:
                    break
                if self._stop.requested and give_up_at is None:
                    give_up_at = time.monotonic() + self._prepared.config.ray.stop_grace_s
                    dispatcher.drain()
                    pool.withdraw()
        finally:
            self._recorder.flush()
        self.reached_end = dispatcher.complete

    def leave_out_others(self) -> None:
        """Count only the records of rows that are in the manifest; call it once at the end.

        Raises:
            LedgerError, StorageError: see `Ledger.leave_out`.
        """
        prepared = self._prepared
        look = ManifestLook(
            manifest=_shown(prepared.config.manifest.paths),
            run_id=prepared.facts.run_id,
            read_at=utc_now(),
        )
        prepared.ledger.leave_out(look, whole=prepared.manifest.is_whole)
        self._stats.left_out = prepared.ledger.counts().left_out

    def take_new_values(self) -> None:
        """Write the records whose rows have new values of other columns; call it once at the end.

        Raises:
            RunError, LedgerError, StorageError: see `Ledger.take_new_values`.
        """
        if len(self._new_values):
            self._progress.show("taking new values of other columns")
            self._stats.new_values = self._prepared.ledger.take_new_values(self._new_values)

    def close(self) -> None:
        """End the driver's threads."""
        self._feeder.close()
        if self._rounds is not None:
            self._rounds.close()
        self._recorder.close()
        self._new_values.close()

    def _settle(self, settled: Settled) -> None:
        row, outcome = settled.entry.row, settled.outcome
        created_at = settled.given_at or self._prepared.ledger.stamp()
        if self._rounds is not None and isinstance(row, ManifestRow):
            retried = self._rounds.settled(row, settled, created_at)
            if row.another_try is not None:
                self._settle_try(settled, retried, row.parameters.num_images, created_at)
                return
        if isinstance(row, ManifestRow):
            self._prepared.stopwatch.settled(row, outcome, self._stats.elapsed_s)
        if outcome.failure is None:
            self._stats.add_completed(len(outcome.outputs), outcome.device_s or 0)
        else:
            self._stats.add_failed(outcome.row_id, outcome.failure)
        self._stats.flagged += outcome.image_values.get(NSFW_CONTENTS, ()).count(True)
        self._stats.scores.add(outcome.image_values.get(SCORES, ()))
        self._stats.caches.note(outcome)
        _log(settled)
        self._recorder.add(settled.entry, outcome, settled.attempt, created_at)

    def _settle_try(
        self, settled: Settled, retried: Retried | None, images: int, created_at: datetime
    ) -> None:
        if retried is None:
            self._stats.failed_tries += 1
            return
        self._stats.extra_images += images
        if retried.record is None:  # the new image is better
            if retried.replaced["run_id"] == self._prepared.facts.run_id:
                self._stats.scores.remove(retried.replaced[SCORES])
            self._stats.scores.add(settled.outcome.image_values[SCORES])
        self._recorder.add_retried(settled, retried, created_at)

    def _reject(self, entry: ManifestEntry, row: RejectedRow) -> None:
        self._settle(Settled(entry, Outcome(row_id=row.id, failure=row.failure), attempt=1))

    def _check(self, pool: WatchedPool) -> None:
        if pool.head_lost:
            raise ClusterError(
                "the Ray head no longer answers, so the cluster is lost; finished rows are "
                "recorded. Once a cluster is up again, rerun the same command: it resumes"
            )
        self._prepared.check_lease()
        check_budget(self._stats, self._prepared.config.on_error)

    def _show(self, waiting_for: str) -> None:
        if self._progress.due:
            self._progress.show(
                waiting_for, WorkerCounts(total=self._prepared.config.stylize.max_actors)
            )

    def _show_work(self, dispatcher: Dispatcher, pool: WatchedPool) -> None:
        if not self._progress.due:
            return
        queues = self._queues(dispatcher, pool.poll_activity())
        if self._stop.requested:
            waiting_for = "stopping: finishing the rows on the actors"
        elif not dispatcher.workers_ready:
            waiting_for = "loading the model" if pool.placed else self._before_loading
        else:
            waiting_for = _busiest_stage(queues)
            if self._rounds is not None and self._rounds.is_trying_again:
                waiting_for = f"further tries: {waiting_for}"
        total = self._prepared.config.stylize.max_actors
        workforce = WorkerCounts(dispatcher.workers_ready, total, dispatcher.in_flight)
        self._progress.show(waiting_for, workforce, queues)

    def _queues(self, dispatcher: Dispatcher, activities: Sequence[Activity]) -> Queues:
        return Queues(
            read_ahead=self._feeder.waiting + dispatcher.not_given_out,
            retry=dispatcher.to_retry,
            fetching=sum(activity.fetching for activity in activities),
            drawing=sum(activity.drawing for activity in activities),
            storing=sum(activity.storing for activity in activities),
            commit=self._recorder.waiting,
        )


def _shown(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
    return ", ".join(map(redact_uri, paths[:_MOST_PATHS])) + more


def _log(settled: Settled) -> None:
    outcome, failure = settled.outcome, settled.outcome.failure
    if failure is None:
        logger.debug(
            "row_completed row_id=%s attempt=%d worker=%s",
            outcome.row_id, settled.attempt, outcome.worker,
        )  # fmt: skip
    else:
        logger.info(
            "row_failed row_id=%s code=%s attempt=%d worker=%s reason=%s",
            outcome.row_id, failure.code, settled.attempt, outcome.worker, failure.message,
        )  # fmt: skip


def _busiest_stage(queues: Queues) -> str:
    if queues.drawing:
        return "drawing"
    if queues.fetching:
        return "fetching"
    return "storing" if queues.storing else ""
