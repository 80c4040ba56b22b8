"""Assign rows to workers, and handle the rows of a worker that died. Independent of Ray.

Every row that is taken from the source settles exactly once. Workers pull: a worker gets its next
row when it has room, chosen by `pipelines.dispatch.affinity` from the waiting rows. When a worker
dies, each of its rows becomes a suspect. A suspect is retried alone, on a worker that holds nothing
else. A row that kills two workers on its own is recorded as `worker_lost`; its neighbours lose no
more than one attempt.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

from pipelines.dispatch.flow import FlowControl
from pipelines.dispatch.start_watch import StartWatch
from pipelines.dispatch.tasks import DispatchPolicy, Settled, Task
from pipelines.dispatch.waiting_rows import RowSource, WaitingRows
from pipelines.dispatch.worker_table import WorkerState, WorkerTable
from pipelines.dispatch.workers import Event, Finished, Lost, Raised, Ready, Returned, WorkerPool
from pipelines.failures import Failure
from pipelines.rows import ManifestRow, Outcome

logger = logging.getLogger(__name__)

_DEATHS_ALONE = 2  # deaths of workers that held only this row
_ISOLATING_SHARE = 4  # at most one worker in four tries suspects; the others keep working
_STARVING_S = 0.02  # pause before asking an empty source again
_AHEAD = 4  # rows read ahead, as a multiple of the rows on workers


def _ignore(_failure: Failure) -> None:
    """Do nothing about a failure."""


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Dispatcher:
    """Feeds the workers of a pool from a source, one `step` at a time."""

    def __init__(
        self,
        pool: WorkerPool,
        source: RowSource,
        policy: DispatchPolicy,
        clock: Callable[[], float] = time.monotonic,
        on_failure: Callable[[Failure], None] = _ignore,
        stamp: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Feed the workers of `pool` from `source`.

        Args:
            pool: the workers.
            source: the rows.
            policy: limits, attempts and time-outs.
            clock: in seconds.
            on_failure: called with each failure that a worker reports, before the row is retried.
                An error that it raises ends the step, and the row stays unrecorded.
            stamp: returns the UTC time for a row that is given to a worker.
        """
        self._pool = pool
        self._policy = policy
        self._clock = clock
        self._on_failure = on_failure
        self._stamp = stamp
        self._flow = FlowControl(
            fixed=policy.rows_in_flight,
            most=policy.max_rows_in_flight,
            together=policy.batch_images,
        )
        self._workers = WorkerTable(policy.row_timeout_s, clock)
        self._waiting = WaitingRows(source, policy)
        self._given: defaultdict[str, list[ManifestRow]] = defaultdict(list)  # and not yet sent
        self._cancelled: list[Task] = []
        self._starts = StartWatch(policy, clock)
        self._draining = False

    @property
    def workers_ready(self) -> int:
        """Number of workers that hold a model."""
        return len(self._workers)

    @property
    def in_flight(self) -> int:
        """Number of rows on workers."""
        return self._workers.in_flight

    @property
    def not_given_out(self) -> int:
        """Number of rows taken from the source and not yet given to a worker."""
        return len(self._waiting.fresh)

    @property
    def to_retry(self) -> int:
        """Number of rows that wait for a retry."""
        return len(self._waiting.retries) + len(self._waiting.suspects)

    @property
    def done(self) -> bool:
        """True if no row is left to wait for."""
        return self._workers.idle and (self._draining or self._waiting.nothing_waits)

    @property
    def complete(self) -> bool:
        """True if every row of the source has settled."""
        return self._workers.idle and self._waiting.nothing_waits

    def put_first(self, urgent: RowSource) -> None:
        """Let urgent rows overtake all that wait, here and on a worker; they keep their order."""
        self._waiting.urgent = urgent

    def drain(self) -> None:
        """Assign no more rows; rows on workers may end, and the rest stays unrecorded."""
        self._draining = True

    def cancel(self, row_id: str, *, on_workers: bool = True) -> bool:
        """Settle a row as cancelled: at once if it waits, or soon if it is on a worker.

        Args:
            row_id: the row.
            on_workers: cancel it on a worker, too.

        Returns:
            False if the row is not here: not taken from its source yet, or settled.
        """
        task = self._waiting.remove(row_id)
        if task is not None:
            self._cancelled.append(task)
            return True
        holder = next((each for each in self._workers if row_id in each.in_flight), None)
        if holder is not None and on_workers:
            self._pool.cancel(holder.name, row_id)
        return holder is not None

    def step(self, timeout_s: float) -> Iterator[Settled]:
        """Assign rows, wait up to `timeout_s` for events, and yield the rows that settled.

        Iterate to the end. Settled rows come before an error is raised.

        Raises:
            WorkersFailedError: a worker failed to start `start_attempts` times in a row and no
                other works, or too few workers had a place to run for `placement_timeout_s`.
        """
        while self._cancelled:
            task = self._cancelled.pop()
            yield Settled.of(task, Outcome(row_id=task.row.id, cancelled=True))
        self._fill()
        starving = len(self._workers) and self._waiting.is_starving
        for event in self._pool.wait(min(timeout_s, _STARVING_S) if starving else timeout_s):
            yield from self._handle(event)
        self._cut_overdue()
        self._starts.check_placed(self._pool.placed)
        self._fill()

    # Events

    def _handle(self, event: Event) -> Iterator[Settled]:
        if isinstance(event, Finished):
            yield from self._finished(event)
        elif isinstance(event, Raised):
            yield from self._raised(event)
        elif isinstance(event, Lost):
            yield from self._lost(event)
        elif isinstance(event, Returned):
            returned = self._workers.take_back(event.worker, event.row_id)
            self._waiting.retries.extend([] if returned is None else [returned])
        elif isinstance(event, Ready):
            self._workers.join(event.worker)
            logger.info("worker_ready worker=%s device=%s", event.worker, event.device)
        else:
            self._start_failed(event.worker, event.reason)

    def _finished(self, event: Finished) -> Iterator[Settled]:
        task = self._workers.take_back(event.worker, event.outcome.row_id, event.outcome)
        if task is None:
            return
        self._starts.worked(event.worker)
        task.attempt += event.attempts
        failure = event.outcome.failure
        if failure is not None:
            self._on_failure(failure)
        if failure is None:
            self._flow.observe(event.outcome)
        elif task.may_try_again(failure, self._policy) and not self._draining:
            logger.info("row_retry row_id=%s code=%s", task.row.id, failure.code)
            self._retry_later(task)
            return
        yield Settled.of(task, event.outcome)

    def _raised(self, event: Raised) -> Iterator[Settled]:
        task = self._workers.take_back(event.worker, event.row_id)
        if task is None:
            return
        task.attempt += 1
        logger.error("row_raised row_id=%s worker=%s\n%s", event.row_id, event.worker, event.error)
        if task.attempt < min(2, task.attempts(self._policy)) and not self._draining:
            self._retry_later(task)
            return
        last_line = event.error.strip().splitlines()[-1]
        yield self._failed(task, Failure("internal", f"the worker's code raised: {last_line}"))

    def _lost(self, event: Lost) -> Iterator[Settled]:
        worker = self._workers.leave(event.worker)
        if worker is None:
            return
        self._waiting.fresh.forget(event.worker)
        tasks = [task for task, _ in worker.in_flight.values()]
        logger.warning(
            "worker_lost worker=%s rows=%d reason=%s", event.worker, len(tasks), event.reason
        )
        if not tasks and not worker.has_worked:
            self._start_failed(event.worker, event.reason)
        for task in tasks:
            if len(tasks) == 1:
                task.deaths_alone += 1
            if task.deaths_alone < _DEATHS_ALONE:
                self._waiting.suspects.append(task)
                continue
            task.attempt += task.deaths_alone
            message = f"{task.deaths_alone} workers died on this row alone: {event.reason}"
            yield self._failed(task, Failure("worker_lost", message))

    def _start_failed(self, worker: str, reason: str) -> None:
        self._starts.failed(worker, reason, others_ready=len(self._workers) > 0)

    def _cut_overdue(self) -> None:
        for worker in self._workers.overdue():
            logger.warning("worker_overdue worker=%s rows=%d", worker.name, len(worker.in_flight))
            self._pool.kill(worker.name)

    def _retry_later(self, task: Task) -> None:
        task.not_before = self._clock() + self._policy.retry_delay_s * 2 ** (task.attempt - 1)
        self._waiting.retries.append(task)

    @staticmethod
    def _failed(task: Task, failure: Failure) -> Settled:
        return Settled.of(task, Outcome(row_id=task.row.id, failure=failure))

    # Assignment

    def _fill(self) -> None:
        if self._draining or not len(self._workers):
            return
        try:
            self._assign_isolation()
            self._assign_urgent()
            self._assign()
        finally:
            for worker, rows in self._given.items():
                self._pool.submit(worker, rows)
            self._given.clear()

    def _assign(self) -> None:
        self._waiting.read_ahead(_AHEAD * self._flow.limit * len(self._workers))
        share, now = self._share(), self._clock()
        for worker in self._workers.with_room(self._flow.limit, self._flow.at_once):
            # Even if few rows are left, the next row of a device must be fetched in time.
            frees_soon = worker.turns.left_s(now) <= self._flow.ahead_s
            if len(worker.in_flight) >= share and not frees_soon:
                continue
            task = self._waiting.next_for(worker.name, now)
            if task is None:
                return
            self._give(worker, task)

    def _share(self) -> int:
        """Rows per worker; falls near the end, so that no worker hoards the last rows."""
        if not self._waiting.no_fresh_row_is_left:
            return self._flow.limit
        return 1 + len(self._waiting.fresh) // len(self._workers)

    def _assign_urgent(self) -> None:
        """Give urgent rows to the workers that will begin them first."""
        now = self._clock()
        workers = [worker for worker in self._workers if not worker.isolating]
        while workers:
            first = min(workers, key=lambda worker: (worker.urgent, len(worker.in_flight)))
            if first.urgent >= self._policy.urgent_rows:
                return
            task = self._waiting.next_urgent(now)
            if task is None:
                return
            self._give(first, task)

    def _assign_isolation(self) -> None:
        """Set workers aside for suspects, and give each empty one a suspect."""
        aside = [worker for worker in self._workers if worker.isolating]
        most = max(1, len(self._workers) // _ISOLATING_SHARE)
        if self._waiting.suspects and len(aside) < most:
            others = [worker for worker in self._workers if not worker.isolating]
            if others:
                chosen = min(others, key=lambda worker: len(worker.in_flight))
                chosen.isolating = True
                aside.append(chosen)
        for worker in aside:
            if not worker.in_flight and self._waiting.suspects:
                self._give(worker, self._waiting.suspects.popleft())
            elif not worker.in_flight:
                worker.isolating = False

    def _give(self, worker: WorkerState, task: Task) -> None:
        task.given_at = self._stamp()
        self._workers.give(worker, task)
        self._given[worker.name].append(task.row)
