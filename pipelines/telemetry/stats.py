"""The run in numbers: what is shown while it goes on, and what is said at its end."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.failures import Failure, FailureCode
from pipelines.packing.pack import PackFacts
from pipelines.telemetry.cache_use import CacheUse
from uso_core.model.cache import Lookups

RECENT_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Where the rows are that have been read and are not recorded yet.

    Attributes:
        read_ahead: given to no worker yet.
        retry: waiting for another try.
        fetching: on the workers, their references on the way.
        drawing: on the workers' devices, or next in line for them.
        storing: on the workers, their images being encoded and written.
        commit: settled; their records wait to be written.
    """

    read_ahead: int = 0
    retry: int = 0
    fetching: int = 0
    drawing: int = 0
    storing: int = 0
    commit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The run at one moment.

    Attributes:
        total: rows of the manifest; None where that is not known in advance.
        completed: rows recorded or about to be, by this run.
        failed: likewise.
        failed_by_code: rows by failure code.
        skipped: rows that were recorded before.
        images: drawn by this run.
        elapsed_s: since the run began.
        images_per_s: over the last minute.
        eta_s: seconds until the end at that rate; None while it can't be told.
        device_busy: share of the ready actors' time that went into drawing, over the last minute, 0
            to 1; rows count when they settle. None: no actor is ready.
        waiting_for: what holds the run up most, in words; empty: it is drawing.
    """

    total: int | None = None
    completed: int = 0
    failed: int = 0
    failed_by_code: Mapping[FailureCode, int] = field(default_factory=dict)
    skipped: int = 0
    images: int = 0
    elapsed_s: float = 0
    images_per_s: float = 0
    eta_s: float | None = None
    device_busy: float | None = None
    actors_ready: int = 0
    actors_total: int = 0
    in_flight: int = 0
    queues: Queues = Queues()
    waiting_for: str = ""

    @property
    def rows_done(self) -> int:
        """Rows that have come to their end, in this run or before it."""
        return self.completed + self.failed + self.skipped


class Listener(Protocol):
    """Whoever wants to see the run go on."""

    def update(self, snapshot: Snapshot) -> None:
        """Called about twice a second from the driver's thread."""


@dataclass(frozen=True, slots=True)
class FailureExample:
    """How often rows failed with a code, and one of them."""

    code: FailureCode
    count: int
    row_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """How a run ended.

    Attributes:
        completed: rows that this run completed.
        failed: rows that this run recorded as failed.
        skipped: rows that were recorded before and left as they were.
        changed: rows that were recorded before and have changed since.
        images: drawn by this run.
        failed_fraction: failed of all rows recorded in the output, those of earlier runs included.
        within_budget: `failed_fraction` is at most `on_error.max_failed_fraction`.
        interrupted: the run was asked to stop before its end; the same command goes on.
        first_image_s: from the run's begin to its first completed row; None: there was none.
        undelivered_events: of those that `notify` asks for.
        caches: what workers had to make or fetch, and what they found in memory, by kind.
        dataset: into which the images were packed; None: `output.layout` asks for none.
    """

    run_id: str
    output_uri: str
    completed: int
    failed: int
    skipped: int
    changed: int
    images: int
    failures: tuple[FailureExample, ...]
    elapsed_s: float
    images_per_s: float
    first_image_s: float | None
    failed_fraction: float
    within_budget: bool
    interrupted: bool
    undelivered_events: int = 0
    caches: Mapping[str, Lookups] = field(default_factory=dict)
    dataset: PackFacts | None = None


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
