"""Where a worker runs, and what it does at the moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Work = Literal["fetching", "drawing", "storing"]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """Where a worker runs.

    Attributes:
        worker: unique in a run: node and process.
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
    """What the rows on a worker are doing now, and what it has done so far.

    Attributes:
        fetching: rows whose references are on the way.
        drawing: rows on the device, or next in line for it.
        storing: rows whose images are being encoded and written.
        cache_hits: references answered from memory, since the start.
        cache_misses: references fetched, since the start.
        fetched_bytes: of references fetched over the network, since the start.
        stored_bytes: of images stored, since the start.
    """

    fetching: int
    drawing: int
    storing: int
    cache_hits: int
    cache_misses: int
    fetched_bytes: int = 0
    stored_bytes: int = 0


class Tally:
    """How many rows do what, and how many bytes they have stored."""

    def __init__(self) -> None:
        self.stored_bytes = 0
        self._lock = threading.Lock()
        self._counts: dict[Work, int] = {"fetching": 0, "drawing": 0, "storing": 0}

    @contextmanager
    def counted(self, work: Work) -> Iterator[None]:
        """A row does this work, until the end of the block."""
        with self._lock:
            self._counts[work] += 1
        try:
            yield
        finally:
            with self._lock:
                self._counts[work] -= 1

    def add_stored(self, num_bytes: int) -> None:
        """So many more bytes are stored."""
        with self._lock:
            self.stored_bytes += num_bytes

    def now(self) -> dict[Work, int]:
        """Rows by what they do."""
        with self._lock:
            return dict(self._counts)
