"""A pool that several dispatchers use, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.dispatch.workers import Event, Lost, Ready, WatchedPool
from pipelines.rows import ManifestRow
from pipelines.worker.activity import Activity


class SharedPool:
    """Tells each dispatcher of the workers that were ready before it began; a `WatchedPool`.

    Call `begin` before each further dispatcher. A dispatcher must have ended before the next one.
    """

    def __init__(self, pool: WatchedPool) -> None:
        """Share `pool`, which no dispatcher has used."""
        self._pool = pool
        self._ready: dict[str, Ready] = {}
        self._untold: list[Event] = []

    def begin(self) -> None:
        """Tell the next dispatcher of all workers that are ready."""
        self._untold = [*self._ready.values()]

    @property
    def placed(self) -> int:
        """See `WorkerPool`."""
        return self._pool.placed

    @property
    def head_lost(self) -> bool:
        """See `WatchedPool`."""
        return self._pool.head_lost

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """See `WorkerPool`."""
        self._pool.submit(worker, rows)

    def wait(self, timeout_s: float) -> list[Event]:
        """See `WorkerPool`."""
        if self._untold:
            events, self._untold = self._untold, []
            return events
        events = self._pool.wait(timeout_s)
        for event in events:
            if isinstance(event, Ready):
                self._ready[event.worker] = event
            elif isinstance(event, Lost):
                self._ready.pop(event.worker, None)
        return events

    def withdraw(self) -> None:
        """See `WatchedPool`."""
        self._pool.withdraw()

    def cancel(self, worker: str, row_id: str) -> None:
        """See `WorkerPool`."""
        self._pool.cancel(worker, row_id)

    def kill(self, worker: str) -> None:
        """See `WorkerPool`."""
        self._pool.kill(worker)

    def poll_activity(self) -> list[Activity]:
        """See `WatchedPool`."""
        return self._pool.poll_activity()
