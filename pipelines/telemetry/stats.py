"""Counters of a run: rows, images, failures, and cache lookups of the workers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.failures import Failure, FailureCode
from pipelines.rows import Outcome
from pipelines.score_values import ScoreMeans
from uso_core.model.cache import Lookups

RECENT_ROWS = 1000
_OF_THE_ROW_ALONE = frozenset({"invalid_request", "unsafe_content"})


class CacheUse:
    """Sums cache lookups over workers; each outcome carries its worker's totals."""

    def __init__(self) -> None:
        self._workers: dict[str, Mapping[str, Lookups]] = {}

    def note(self, outcome: Outcome) -> None:
        """Add the totals of a worker; outcomes may arrive out of order."""
        worker = outcome.worker
        if worker is not None and _count(outcome.caches) >= _count(self._workers.get(worker, {})):
            self._workers[worker] = outcome.caches

    @property
    def total(self) -> dict[str, Lookups]:
        """Lookups by kind; a dead worker counts up to its last outcome."""
        total: dict[str, Lookups] = {}
        for caches in self._workers.values():
            for kind, lookups in caches.items():
                total[kind] = total.get(kind, Lookups()) + lookups
        return total


@dataclass(frozen=True, slots=True)
class FailureCount:
    """The number of rows that failed with a code, and one of them."""

    code: FailureCode
    count: int
    row_id: str
    message: str


@dataclass(slots=True)
class RunStats:
    """Counters of a run.

    Attributes:
        lost_images: completed rows that are generated again because an image of theirs is missing
            or is not the recorded file.
        new_values: done rows whose records took new values of the user's own columns.
        left_out: records whose rows are no longer in the manifest, known at the end.
        flagged: images that the safety check has flagged, withheld ones included.
        scores: means of the scores of the images.
        extra_images: images of further tries.
        failed_tries: further tries that failed; their rows stay completed.
        replay: counts of the rows that were drawn again at the end; None: none were.
    """

    clock: Callable[[], float] = time.monotonic
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    changed: int = 0
    lost_images: int = 0
    new_values: int = 0
    left_out: int = 0
    images: int = 0
    flagged: int = 0
    extra_images: int = 0
    failed_tries: int = 0
    drawing_s: float = 0
    consecutive_failed: int = 0
    first_image_s: float | None = None
    failures: Counter[FailureCode] = field(default_factory=Counter)
    caches: CacheUse = field(default_factory=CacheUse)
    scores: ScoreMeans = field(default_factory=ScoreMeans)
    replay: Mapping[str, Any] | None = None
    recent_failed: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT_ROWS))
    _streak: Counter[FailureCode] = field(default_factory=Counter)
    _examples: dict[FailureCode, tuple[str, str]] = field(default_factory=dict)
    _began: float = 0

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run started."""
        return self.clock() - self._began

    def add_completed(self, images: int, drawing_s: float = 0) -> None:
        """Count a completed row with its number of images and its seconds on the device."""
        self.completed += 1
        self.images += images
        self.drawing_s += drawing_s
        self.consecutive_failed = 0
        self._streak.clear()
        self.recent_failed.append(False)
        if self.first_image_s is None:
            self.first_image_s = self.elapsed_s

    def add_failed(self, row_id: str, failure: Failure) -> None:
        """Count a failed row; one with a fault of its own says nothing about the run's health."""
        self.failed += 1
        self.failures[failure.code] += 1
        self._examples.setdefault(failure.code, (row_id, failure.message))
        if failure.code not in _OF_THE_ROW_ALONE:
            self.consecutive_failed += 1
            self._streak[failure.code] += 1
            self.recent_failed.append(True)

    def streak_example(self) -> FailureCount:
        """Return the most frequent code among the failures since the last completed row."""
        code, count = self._streak.most_common(1)[0]
        return FailureCount(code, count, *self._examples[code])

    @property
    def recent_failed_fraction(self) -> float | None:
        """Failed share of the last `RECENT_ROWS` rows on workers; None: there were fewer."""
        if len(self.recent_failed) < RECENT_ROWS:
            return None
        return sum(self.recent_failed) / RECENT_ROWS

    def failure_examples(self) -> tuple[FailureCount, ...]:
        """Return one example for each code, the most frequent code first."""
        return tuple(
            FailureCount(code, count, *self._examples[code])
            for code, count in self.failures.most_common()
        )


def _count(caches: Mapping[str, Lookups]) -> int:
    return sum(lookups.count for lookups in caches.values())
