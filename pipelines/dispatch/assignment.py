"""Choose the waiting rows for workers: suspects, each alone; then urgent rows; then all others."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.dispatch.flow import FlowControl
from pipelines.dispatch.tasks import Task
from pipelines.dispatch.waiting_rows import WaitingRows
from pipelines.dispatch.worker_table import WorkerState, WorkerTable

_ISOLATING_SHARE = 4  # at most one worker in four tries suspects; the others keep working
_AHEAD = 4  # rows read ahead, as a multiple of the rows on workers


class Assignment:
    """Takes waiting rows for the workers with room."""

    def __init__(
        self,
        workers: WorkerTable,
        waiting: WaitingRows,
        flow: FlowControl,
        urgent_rows: int,
        clock: Callable[[], float],
        give: Callable[[WorkerState, Task], None],
    ) -> None:
        """Assign the rows of `waiting` to `workers`.

        Args:
            workers: the workers, with the rows on each.
            waiting: the rows; `pipelines.dispatch.affinity` chooses the one that suits a worker.
            flow: the number of rows that a worker should hold.
            urgent_rows: most urgent rows on a worker.
            clock: in seconds.
            give: puts a row on a worker in `workers`, and has it sent.
        """
        self._workers = workers
        self._waiting = waiting
        self._flow = flow
        self._urgent_rows = urgent_rows
        self._clock = clock
        self._give = give

    def assign(self) -> None:
        """Give rows to the workers that have room, until none has, or no row suits."""
        if not len(self._workers):
            return
        self._assign_isolation()
        self._assign_urgent()
        self._assign_others()

    def _assign_others(self) -> None:
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
            if first.urgent >= self._urgent_rows:
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
