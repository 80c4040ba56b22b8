"""The pool of the server's actors, with a word about each row that an actor gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.dispatch.workers import Event, WorkerPool
from pipelines.rows import ManifestRow


class AnnouncedPool:
    """A pool that tells which rows are given to an actor."""

    def __init__(self, pool: WorkerPool, on_given: Callable[[ManifestRow], None]) -> None:
        """Call `on_given` before a row is given to a worker of `pool`."""
        self._pool = pool
        self._on_given = on_given

    @property
    def placed(self) -> int:
        """See `WorkerPool`."""
        return self._pool.placed

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """See `WorkerPool`."""
        for row in rows:
            self._on_given(row)
        self._pool.submit(worker, rows)

    def wait(self, timeout_s: float) -> list[Event]:
        """See `WorkerPool`."""
        return self._pool.wait(timeout_s)

    def cancel(self, worker: str, row_id: str) -> None:
        """See `WorkerPool`."""
        self._pool.cancel(worker, row_id)

    def kill(self, worker: str) -> None:
        """See `WorkerPool`."""
        self._pool.kill(worker)
