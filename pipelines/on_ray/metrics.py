"""Export the metrics of a run through Ray, for Prometheus to scrape from its nodes.

The driver exports its snapshots twice a second, at no cost per row. Each actor exports the outcome
of each row, in about 0.1 ms.
"""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

from ray.util.metrics import Counter, Gauge, Histogram
from ray.util.metrics import Metric as RayMetric

from pipelines.rows import Outcome
from pipelines.telemetry import metrics
from pipelines.telemetry.metrics import Metric
from pipelines.worker.activity import Activity

if TYPE_CHECKING:  # only the driver needs these modules; an actor must not load them
    from pipelines.telemetry.progress import ProgressReporter
    from pipelines.telemetry.snapshot import Snapshot

R = TypeVar("R", bound=RayMetric)


@contextmanager
def run_metrics(run_id: str, progress: ProgressReporter) -> Iterator[None]:
    """Export the snapshots of `board` for the duration of the block, within a Ray session.

    At the end the counters are updated and the gauges of rows and actors at work set to 0, because
    Ray keeps exporting the last value of a driver that has left a cluster.
    """
    exported = RunMetrics(run_id)
    with progress.listening(exported):
        try:
            yield
        finally:
            exported.update(progress.snapshot())


class RunMetrics:
    """The driver's metrics; a `pipelines.telemetry.snapshot.Listener`."""

    def __init__(self, run_id: str) -> None:
        self._rows = _Total(metrics.ROWS, run_id)
        self._failures = _Total(metrics.FAILURES, run_id)
        self._images = _Total(metrics.IMAGES, run_id)
        self._flagged_images = _Total(metrics.FLAGGED_IMAGES, run_id)
        self._score_means = _gauge(metrics.SCORE_MEANS, run_id)
        self._manifest_rows = _gauge(metrics.MANIFEST_ROWS, run_id)
        self._images_per_second = _gauge(metrics.IMAGES_PER_SECOND, run_id)
        self._eta_seconds = _gauge(metrics.ETA_SECONDS, run_id)
        self._device_busy = _gauge(metrics.DEVICE_BUSY, run_id)
        self._actors = _gauge(metrics.ACTORS, run_id)
        self._queued_rows = _gauge(metrics.QUEUED_ROWS, run_id)

    def update(self, snapshot: Snapshot) -> None:
        """Export `snapshot`."""
        for state in ("completed", "failed", "skipped"):
            self._rows.reach(getattr(snapshot, state), state=state)
        for code, count in snapshot.failed_by_code.items():
            self._failures.reach(count, code=code)
        self._images.reach(snapshot.images)
        self._flagged_images.reach(snapshot.flagged)
        for name, mean in snapshot.scores.items():
            self._score_means.set(mean, {"score": name})
        self._manifest_rows.set(snapshot.total)  # None sets no value, here and below
        self._images_per_second.set(snapshot.images_per_s)
        self._eta_seconds.set(snapshot.eta_s)
        self._device_busy.set(snapshot.device_busy or 0)
        self._actors.set(snapshot.actors_ready, {"state": "ready"})
        self._actors.set(snapshot.actors_total, {"state": "wanted"})
        for queue, count in asdict(snapshot.queues).items():
            self._queued_rows.set(count, {"queue": queue})


class WorkerMetrics:
    """An actor's metrics; safe to use from the threads of its rows."""

    def __init__(self, run_id: str) -> None:
        self._stage_seconds = _histogram(metrics.STAGE_SECONDS, run_id)
        self._device_seconds = _counter(metrics.DEVICE_SECONDS, run_id)
        self._references = _Total(metrics.REFERENCES, run_id)
        self._encodings = _Total(metrics.ENCODINGS, run_id)
        self._bytes = _Total(metrics.BYTES, run_id)

    def observe(self, outcome: Outcome, activity: Activity) -> None:
        """Add the outcome of a row, and the activity of its worker."""
        for stage, milliseconds in asdict(outcome.timings).items():
            if milliseconds is not None:
                self._stage_seconds.observe(milliseconds / 1e3, {"stage": stage})
        if outcome.device_s:
            self._device_seconds.inc(outcome.device_s)
        self._references.reach(activity.cache_hits, cache="hit")
        self._references.reach(activity.cache_misses, cache="miss")
        for kind, lookups in outcome.caches.items():
            if kind != "references":  # these have their own metric
                self._encodings.reach(lookups.hits, kind=kind, cache="hit")
                self._encodings.reach(lookups.misses, kind=kind, cache="miss")
        self._bytes.reach(activity.fetched_bytes, direction="fetched")
        self._bytes.reach(activity.stored_bytes, direction="stored")


class _Total:
    """A counter that is set to a total rather than incremented."""

    def __init__(self, metric: Metric, run_id: str) -> None:
        self._counter = _counter(metric, run_id)
        self._lock = threading.Lock()
        self._reached: Counts[tuple[str, ...]] = Counts()

    def reach(self, total: int, **labels: str) -> None:
        """Count up to `total`; ignore an older total, since threads overtake each other."""
        key = tuple(labels.values())
        with self._lock:
            more = total - self._reached[key]
            self._reached[key] = max(total, self._reached[key])
        if more > 0:
            self._counter.inc(more, labels)


def _counter(metric: Metric, run_id: str) -> Counter:
    return _of_run(Counter(metric.name, metric.help, _tags(metric)), run_id)


def _gauge(metric: Metric, run_id: str) -> Gauge:
    return _of_run(Gauge(metric.name, metric.help, _tags(metric)), run_id)


def _histogram(metric: Metric, run_id: str) -> Histogram:
    boundaries = list(metric.boundaries)
    return _of_run(Histogram(metric.name, metric.help, boundaries, _tags(metric)), run_id)


def _tags(metric: Metric) -> tuple[str, ...]:
    return (metrics.RUN_LABEL, *metric.labels)


def _of_run(metric: R, run_id: str) -> R:
    metric.set_default_tags({metrics.RUN_LABEL: run_id})
    return metric
