"""Counters of a run: rows, images, failures, and cache lookups of the workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipelines.failures import Failure, FailureCode
from pipelines.rows import Outcome
from uso_core.model.cache import Lookups

RECENT_ROWS = 1000


class CacheUse:
    """Adds up over workers; each outcome tells what its worker has looked up since its start."""

    def __init__(self) -> None:
        self._workers: dict[str, Mapping[str, Lookups]] = {}

    def note(self, outcome: Outcome) -> None:
        """Take in what a worker says; its rows may arrive in another order than they ended in."""
        worker = outcome.worker
        if worker is not None and _count(outcome.caches) >= _count(self._workers.get(worker, {})):
            self._workers[worker] = outcome.caches

    @property
    def total(self) -> dict[str, Lookups]:
        """By kind; those of a worker that died count up to its last outcome."""
        total: dict[str, Lookups] = {}
        for caches in self._workers.values():
            for kind, lookups in caches.items():
                total[kind] = total.get(kind, Lookups()) + lookups
        return total


@dataclass(frozen=True, slots=True)
class FailureExample:
    """How often rows failed with a code, and one of them."""

    code: FailureCode
    count: int
    row_id: str
    message: str


@dataclass(slots=True)
class RunStats:
    """Counts up what happens in a run."""

    clock: Callable[[], float] = time.monotonic
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    changed: int = 0
    images: int = 0
    drawing_s: float = 0
    consecutive_failed: int = 0
    first_image_s: float | None = None
    failures: Counter[FailureCode] = field(default_factory=Counter)
    caches: CacheUse = field(default_factory=CacheUse)
    recent_failed: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT_ROWS))
    _streak: Counter[FailureCode] = field(default_factory=Counter)
    _examples: dict[FailureCode, tuple[str, str]] = field(default_factory=dict)
    _began: float = 0

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._began

    def add_completed(self, images: int, drawing_s: float = 0) -> None:
        """Count a completed row, of so many images, that was on its device for so long."""
        self.completed += 1
        self.images += images
        self.drawing_s += drawing_s
        self.consecutive_failed = 0
        self._streak.clear()
        self.recent_failed.append(False)
        if self.first_image_s is None:
            self.first_image_s = self.elapsed_s

    def add_failed(self, row_id: str, failure: Failure) -> None:
        """Count a failed row; a row that was rejected says nothing about the run's health."""
        self.failed += 1
        self.failures[failure.code] += 1
        self._examples.setdefault(failure.code, (row_id, failure.message))
        if failure.code != "invalid_request":
            self.consecutive_failed += 1
            self._streak[failure.code] += 1
            self.recent_failed.append(True)

    def streak_example(self) -> FailureExample:
        """The most frequent code of the rows that failed since one was completed; there is one."""
        code, count = self._streak.most_common(1)[0]
        return FailureExample(code, count, *self._examples[code])

    @property
    def recent_failed_fraction(self) -> float | None:
        """Failed of the last `RECENT_ROWS` rows that a worker had; None: there were fewer."""
        if len(self.recent_failed) < RECENT_ROWS:
            return None
        return sum(self.recent_failed) / RECENT_ROWS

    def failure_examples(self) -> tuple[FailureExample, ...]:
        """Each code that occurred, the most frequent first."""
        return tuple(
            FailureExample(code, count, *self._examples[code])
            for code, count in self.failures.most_common()
        )


def _count(caches: Mapping[str, Lookups]) -> int:
    return sum(lookups.count for lookups in caches.values())
