"""Report progress: make snapshots and show them to the listeners of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.telemetry.rates import RateWindow
from pipelines.telemetry.snapshot import Listener, Queues, Snapshot
from pipelines.telemetry.stats import RunStats

_EVERY_S = 0.5
_NO_QUEUES = Queues()


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Number of workers, and of rows on them, at one moment.

    Attributes:
        ready: workers that hold a model.
        total: most workers of the run.
        in_flight: rows on workers.
    """

    ready: int = 0
    total: int = 0
    in_flight: int = 0


_NOBODY = WorkerCounts()


class ProgressReporter:
    """Combines counters and the state of the workers into snapshots.

    Attributes:
        total: rows of the manifest; None: unknown.
    """

    def __init__(self, listener: Listener | None, stats: RunStats) -> None:
        self._listeners = [] if listener is None else [listener]
        self._stats = stats
        self._window = RateWindow()
        self._shown_at = float("-inf")
        self.total: int | None = None

    @property
    def due(self) -> bool:
        """True if the last snapshot is half a second old."""
        return bool(self._listeners) and time.monotonic() - self._shown_at >= _EVERY_S

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Add a listener for the duration of the block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def show(
        self, waiting_for: str, workers: WorkerCounts = _NOBODY, queues: Queues = _NO_QUEUES
    ) -> None:
        """Show a snapshot to the listeners."""
        if not self._listeners:
            return
        self._shown_at = time.monotonic()
        snapshot = self.snapshot(waiting_for, workers, queues)
        for listener in self._listeners:
            listener.update(snapshot)

    def snapshot(
        self, waiting_for: str = "", workers: WorkerCounts = _NOBODY, queues: Queues = _NO_QUEUES
    ) -> Snapshot:
        """Make a snapshot of the run."""
        stats = self._stats
        elapsed_s, rows = stats.elapsed_s, stats.completed + stats.failed
        rates = self._window.rates(
            elapsed_s,
            rows=rows,
            images=stats.images,
            drawing_s=stats.drawing_s,
            ready=workers.ready,
        )
        return Snapshot(
            total=self.total,
            completed=stats.completed,
            failed=stats.failed,
            failed_by_code=dict(stats.failures),
            skipped=stats.skipped,
            images=stats.images,
            flagged=stats.flagged,
            scores=stats.scores.by_name,
            elapsed_s=elapsed_s,
            images_per_s=rates.images_per_s,
            eta_s=self._eta_s(rows, rates.rows_per_s),
            device_busy=rates.device_busy,
            actors_ready=workers.ready,
            actors_total=workers.total,
            in_flight=workers.in_flight,
            queues=queues,
            waiting_for=waiting_for,
        )

    def _eta_s(self, rows: int, rows_per_s: float) -> float | None:
        if self.total is None or not rows_per_s:
            return None
        return max(0, self.total - self._stats.skipped - rows) / rows_per_s
