"""The place where a worker runs, and its work at the moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pipelines.worker.steps import Steps

Work = Literal["fetching", "drawing", "storing"]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """The place where a worker runs.

    Attributes:
        worker: name of the worker, unique in a run: node and process.
        device: `cpu`, or the GPU's model name.
        node: host name.
        pid: process id.
    """

    worker: str
    device: str
    node: str
    pid: int


@dataclass(frozen=True, slots=True)
class Activity:
    """The current work of a worker's rows, and totals since the worker started.

    Attributes:
        fetching: rows whose references are being fetched.
        drawing: rows on the device, or in the queue for it.
        storing: rows whose images are being encoded and stored.
        cache_hits: references that were answered from memory.
        cache_misses: references that were fetched.
        fetched_bytes: bytes of references fetched over the network.
        stored_bytes: bytes of stored images.
        steps: steps done of the rows that are watched, by row id.
    """

    fetching: int
    drawing: int
    storing: int
    cache_hits: int
    cache_misses: int
    fetched_bytes: int = 0
    stored_bytes: int = 0
    steps: Mapping[str, Steps] = field(default_factory=dict)


class Tally:
    """Counts rows by their current work, and stored bytes. Thread-safe."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self._lock = threading.Lock()
        self._counts: dict[Work, int] = {"fetching": 0, "drawing": 0, "storing": 0}

    @contextmanager
    def counted(self, work: Work) -> Iterator[None]:
        """Count one row under `work` until the end of the block."""
        with self._lock:
            self._counts[work] += 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[work] -= 1

    def add_stored(self, num_bytes: int) -> None:
        """Add to the stored bytes."""
        with self._lock:
            self.stored_bytes += num_bytes

    def now(self) -> dict[Work, int]:
        """Return the number of rows by their current work."""
        with self._lock:
            return dict(self._counts)
