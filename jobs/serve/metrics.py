"""The metrics of a server, in the format of Prometheus; docs/serving.md lists them.

They have a registry of their own. The actors' metrics are Ray's: `pipelines.telemetry.metrics`.
"""

from __future__ import annotations

import math
import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.store.database import now_ms
from jobs.serve.store.unended import Unended
from jobs.serve.task import Ended, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `exposition`."""

_MOST_KEYS = 100
_OTHER_KEYS = "other"
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 90)
_TASK_S = (0.1, 0.3, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """Counts what a server does. Labels take few values: no label is an id or a URL."""

    def __init__(self, unended: Unended) -> None:
        """Count; the tasks that have not ended are read from the database at each scrape."""
        self._unended = unended
        self._keys: set[str] = set()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.requests = counter("requests", "Requests that were answered.", "route", "code")
        self.request_seconds = histogram(
            "request_seconds", "Seconds from a request's head to its answer's end.", "route"
        )
        self.connections = gauge("connections", "Open connections.")
        self.streams = gauge("open_streams", "Streams of tasks under way.")
        self.accepted = counter("tasks_accepted", "Accepted tasks, by the start of a key.", "key")
        self.ended = counter("tasks_ended", "Tasks that ended.", "state")
        self.tasks = gauge("tasks", "Tasks that have not ended.", "state")
        self.oldest = gauge("oldest_queued_seconds", "Age of the oldest task that waits.")
        self.queue_seconds = histogram(
            "queue_seconds", "Seconds from a task's acceptance to its start.", buckets=_TASK_S
        )
        self.draw_seconds = histogram(
            "draw_seconds", "Seconds on the device of a completed task.", buckets=_TASK_S
        )
        self.webhooks = counter("webhooks", "Attempts to deliver a webhook.", "result")

    def note_accepted(self, key_prefix: str) -> None:
        """Count an accepted task; keys after the first hundred count together."""
        if key_prefix not in self._keys and len(self._keys) < _MOST_KEYS:
            self._keys.add(key_prefix)
        self.accepted.labels(key_prefix if key_prefix in self._keys else _OTHER_KEYS).inc()

    def note_ended(self, ended: Ended) -> None:
        """Count the end of a task."""
        self.ended.labels(ended.state.name.lower()).inc()
        if ended.started_at is not None:
            self.queue_seconds.observe(max(0, ended.started_at - ended.created_at) / 1000)
        if ended.state is State.COMPLETED:
            self.draw_seconds.observe(ended.inference_ms / 1000)

    def note_request(self, route: str, code: int, started: float) -> float:
        """Count a request that began at `started` of `time.perf_counter`; return its seconds."""
        seconds = time.perf_counter() - started
        self.requests.labels(route, str(code)).inc()
        self.request_seconds.labels(route).observe(seconds)
        return seconds

    async def exposition(self) -> bytes:
        """Return all metrics as Prometheus reads them; without the database, some are missing."""
        try:
            counts, oldest_at = await self._unended.look()
        except DatabaseUnavailableError:
            self.tasks.clear()
            self.oldest.set(math.nan)
            return generate_latest(self.registry)
        for state in State:
            if not state.ended:
                self.tasks.labels(state.name.lower()).set(counts.get(state, 0))
        self.oldest.set(0 if oldest_at is None else max(0, now_ms() - oldest_at) / 1000)
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"uso_serve_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"uso_serve_{name}", words, labels, registry=self.registry)

    def _histogram(
        self, name: str, words: str, *labels: str, buckets: tuple[float, ...] = _REQUEST_S
    ) -> Histogram:
        name = f"uso_serve_{name}"
        return Histogram(name, words, labels, registry=self.registry, buckets=buckets)
