"""Measures how long rows took during a run, by device and shape."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.calibration.measurements import Machine, Settings, ShapeTime
from pipelines.calibration.shapes import Shape
from pipelines.moments import utc_now
from pipelines.rows import ManifestRow, Outcome
from uso_core.request import Limits


@dataclass(slots=True)
class _Worker:
    """The rows of one worker.

    Attributes:
        device: name of its device.
        since: time at which its first row settled, in seconds since the start of the run.
        until: time at which its last row settled.
        first: shape and seconds of its first row, which is slow because of warm-up.
        device_s: seconds on its device between `since` and `until`.
        times: number of rows and total seconds by shape, without the first row.
    """

    device: str
    since: float
    until: float
    first: tuple[Shape, float]
    device_s: float = 0
    times: dict[Shape, tuple[int, float]] = field(default_factory=dict)


class Stopwatch:
    """Collects the times of completed rows; keeps a few numbers per worker and shape."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Measure a run with these settings and limits of its model."""
        self._settings = settings
        self._limits = limits
        self._startup_s: float | None = None
        self._workers: dict[str, _Worker] = {}

    def settled(self, row: ManifestRow, outcome: Outcome, at_s: float) -> None:
        """Add a row that settled `at_s` seconds after the start of the run."""
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
        worker.device_s += seconds
        rows, total = worker.times.get(shape, (0, 0.0))
        worker.times[shape] = rows + 1, total + seconds

    def machines(self) -> list[Machine]:
        """Return the measurements of each device; an empty list if no row was completed."""
        devices = dict.fromkeys(worker.device for worker in self._workers.values())
        return [self._machine(device) for device in devices]

    def _machine(self, device: str) -> Machine:
        workers = [worker for worker in self._workers.values() if worker.device == device]
        times: dict[Shape, tuple[int, float]] = {}
        for worker in workers:
            for shape, (rows, seconds) in worker.times.items():
                before, total = times.get(shape, (0, 0.0))
                times[shape] = before + rows, total + seconds
        for worker in workers:  # a slow first row is better than no measurement
            times.setdefault(worker.first[0], (1, worker.first[1]))
        watched = sum(worker.until - worker.since for worker in workers)
        on_device = sum(worker.device_s for worker in workers)
        return Machine(
            settings=self._settings,
            device=device,
            updated_at=utc_now(),
            startup_s=self._startup_s or 0.0,
            busy=min(1.0, on_device / watched) if watched else 1.0,
            shapes=tuple(
                ShapeTime(shape, rows, total / rows)
                for shape, (rows, total) in sorted(times.items())
            ),
        )
