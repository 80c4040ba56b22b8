"""The rows that wait for a worker: fresh ones, urgent ones, and ones that are tried again."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pipelines.dispatch.affinity import RowQueue
from pipelines.dispatch.feeder import AHEAD_BYTES
from pipelines.dispatch.tasks import DispatchPolicy, Task
from pipelines.rows import Entry, ManifestRow


class RowSource(Protocol):
    """A source of rows; see `pipelines.dispatch.feeder.RowFeeder`."""

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` rows that are ready."""


class NoRows:
    """A source without rows."""

    exhausted = True

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Return none."""
        del most
        return []


class WaitingRows:
    """Rows on this side of the workers.

    Attributes:
        urgent: source of rows that go first, each taken when a worker has room.
        fresh: rows that were read ahead, to choose from.
        retries: rows that are tried again, after a pause.
        suspects: rows whose worker died; each is tried alone.
    """

    def __init__(self, source: RowSource, policy: DispatchPolicy) -> None:
        """Read fresh rows from `source`; there are no urgent ones yet."""
        self._source = source
        self.urgent: RowSource = NoRows()
        self.fresh = RowQueue(batched=policy.batch_images > 1, encoding=policy.encoding)
        self.retries: deque[Task] = deque()
        self.suspects: deque[Task] = deque()

    @property
    def no_fresh_row_is_left(self) -> bool:
        """True if the source of fresh rows has ended."""
        return self._source.exhausted

    @property
    def nothing_waits(self) -> bool:
        """True if no row is left to give to a worker."""
        ended = self._source.exhausted and self.urgent.exhausted
        return ended and not (self.fresh or self.retries or self.suspects)

    @property
    def is_starving(self) -> bool:
        """True if rows may still come, and none is read."""
        return not self.fresh and not self._source.exhausted

    def read_ahead(self, wanted: int) -> None:
        """Read until `wanted` rows wait here; once the end is in sight, sort them."""
        missing = wanted - len(self.fresh)
        if missing > 0 and self.fresh.num_bytes < AHEAD_BYTES:
            for entry in self._source.take(missing):
                self.fresh.add(Task(entry))
        if self._source.exhausted:
            self.fresh.sort_longest_first()

    def next_urgent(self, now: float) -> Task | None:
        """Take the next urgent row; None if no urgent row waits."""
        due = self._next_due(now, urgent_only=True)
        if due is not None:
            return due
        entries = self.urgent.take(1)
        return Task(entries[0]) if entries else None

    def next_for(self, worker: str, now: float) -> Task | None:
        """Take a row for a worker: one that is due for a retry, or the fresh one that suits."""
        return self._next_due(now) or self.fresh.next_for(worker)

    def remove(self, row_id: str) -> Task | None:
        """Take out a row that is no longer wanted; None if it is not here."""
        for queue in (self.retries, self.suspects):
            found = next((task for task in queue if task.row.id == row_id), None)
            if found is not None:
                queue.remove(found)
                return found
        return self.fresh.remove(row_id)

    def _next_due(self, now: float, *, urgent_only: bool = False) -> Task | None:
        for task in self.retries:
            if task.not_before <= now and (task.row.is_urgent or not urgent_only):
                self.retries.remove(task)
                return task
        return None
