"""CPU seconds that a driver takes per row, sampled during the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from pipelines.telemetry.snapshot import Snapshot

_RAY_PROCESSES = ("raylet", "gcs_server")


@dataclass(frozen=True)
class Sample:
    """One moment of a run.

    Attributes:
        rows: rows recorded, or about to be.
        at_s: seconds, on a monotonic clock.
        driver_s: CPU seconds of this process so far, over all its threads.
        ray_s: CPU seconds of Ray's own processes below this one.
    """

    rows: int
    at_s: float
    driver_s: float
    ray_s: float


class CpuWatch:
    """A run's listener that takes a sample at each update."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._ray: list[psutil.Process] = []

    def update(self, snapshot: Snapshot) -> None:
        """Take a sample."""
        if not self._ray:
            children = psutil.Process().children(recursive=True)
            self._ray = [child for child in children if _is_rays(child)]
        ray_s = sum(map(_cpu_s, self._ray))
        now = time.monotonic()
        self._samples.append(Sample(snapshot.completed, now, time.process_time(), ray_s))

    @property
    def at_work(self) -> tuple[Sample, Sample]:
        """Ends of the steady part: the first sample with a fifth of the rows, and the last one."""
        return steady(self._samples)


def steady(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """Return the ends of the steady part of a run.

    Raises:
        ValueError: the run was too short for two samples of its steady part.
    """
    last = max(samples, key=lambda sample: sample.rows)
    last = next(sample for sample in samples if sample.rows == last.rows)
    first = next(sample for sample in samples if sample.rows >= last.rows / 5)
    if first is last:
        raise ValueError("the run was too short to measure: give it more rows")
    return first, last


def _is_rays(process: psutil.Process) -> bool:
    try:
        return process.name() in _RAY_PROCESSES
    except psutil.NoSuchProcess:
        return False


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
