"""Watches a run's rows settle, and says at its end how long what took."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.calibration.measurements import Machine, Settings, ShapeTime
from pipelines.calibration.shapes import Shape
from pipelines.moments import utc_now
from pipelines.rows import ManifestRow, Outcome
from uso_core.request import Limits


@dataclass(slots=True)
class _Worker:
    """One worker's rows.

    Attributes:
        device: of its own.
        since: when its first row settled, in seconds since the run began.
        until: when its last row settled.
        first: shape and seconds of the first row, which is slow because it warms things up.
        drawing_s: on its device, between `since` and `until`.
        times: rows and seconds by shape, without the first row.
    """

    device: str
    since: float
    until: float
    first: tuple[Shape, float]
    drawing_s: float = 0
    times: dict[Shape, tuple[int, float]] = field(default_factory=dict)


class Stopwatch:
    """Collects the times of completed rows: a few numbers per worker and shape."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Watch a run with a model of these settings and limits."""
        self._settings = settings
        self._limits = limits
        self._startup_s: float | None = None
        self._workers: dict[str, _Worker] = {}

    def settled(self, row: ManifestRow, outcome: Outcome, at_s: float) -> None:
        """Take in a row that has come to its end, `at_s` seconds after the run began."""
        seconds = outcome.device_s
        if outcome.failure is not None or seconds is None:
            return
        if outcome.worker is None or outcome.device is None:
            return
        if self._startup_s is None:
            self._startup_s = max(0.0, at_s - seconds)
        shape = Shape.of(row, self._limits)
        worker = self._workers.get(outcome.worker)
        if worker is None:
            self._workers[outcome.worker] = _Worker(outcome.device, at_s, at_s, (shape, seconds))
            return
        worker.until = at_s
        worker.drawing_s += seconds
        rows, total = worker.times.get(shape, (0, 0.0))
        worker.times[shape] = rows + 1, total + seconds

    def machines(self) -> list[Machine]:
        """What was measured, by device; nothing where no row was completed."""
        devices = dict.fromkeys(worker.device for worker in self._workers.values())
        return [self._machine(device) for device in devices]

    def _machine(self, device: str) -> Machine:
        workers = [worker for worker in self._workers.values() if worker.device == device]
        times: dict[Shape, tuple[int, float]] = {}
        for worker in workers:
            for shape, (rows, seconds) in worker.times.items():
                before, total = times.get(shape, (0, 0.0))
                times[shape] = before + rows, total + seconds
        for worker in workers:  # better than nothing
            times.setdefault(worker.first[0], (1, worker.first[1]))
        watched = sum(worker.until - worker.since for worker in workers)
        drawing = sum(worker.drawing_s for worker in workers)
        return Machine(
            settings=self._settings,
            device=device,
            updated_at=utc_now(),
            startup_s=self._startup_s or 0.0,
            busy=min(1.0, drawing / watched) if watched else 1.0,
            shapes=tuple(
                ShapeTime(shape, rows, total / rows)
                for shape, (rows, total) in sorted(times.items())
            ),
        )
