"""A `WorkerPool` in simulated time: each worker draws one row after another, and nothing waits.

The n-th row that a worker draws takes it as long whichever row that is, so that two runs differ in
nothing but in which rows went where.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.dispatch.workers import Event, Finished, Lost, Ready
from pipelines.rows import Entry, ManifestRow, Outcome

Work = Callable[[str, ManifestRow], None]


@dataclass(frozen=True, slots=True)
class Given:
    """A row that a worker was given."""

    at_s: float
    worker: str
    row_id: str


class SimulatedPool:
    """Workers that draw each row in 0.8 to 1.2 s.

    Attributes:
        now: seconds since the start.
        given: every row in the order in which they were given out.
    """

    def __init__(self, workers: int, work: Work | None = None, *, seed: int = 0) -> None:
        self.now = 0.0
        self.given: list[Given] = []
        self._work = work
        names = [f"w{n}" for n in range(workers)]
        self._pace = {name: random.Random(f"{seed} {name}") for name in names}
        self._free_at = dict.fromkeys(names, 0.0)
        self._events: list[tuple[float, int, Event]] = [
            (0.0, n, Ready(name, "none")) for n, name in enumerate(names)
        ]

    @property
    def placed(self) -> int:
        return len(self._pace)

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        for row in rows:
            self._draw(worker, row)

    def _draw(self, worker: str, row: ManifestRow) -> None:
        self.given.append(Given(self.now, worker, row.id))
        if self._work is not None:
            self._work(worker, row)
        begins = max(self.now, self._free_at[worker])
        self._free_at[worker] = ends = begins + self._pace[worker].uniform(0.8, 1.2)
        number = len(self._pace) + len(self.given)
        heapq.heappush(self._events, (ends, number, Finished(worker, Outcome(row_id=row.id))))

    def wait(self, timeout_s: float) -> list[Event]:
        if not self._events or self._events[0][0] > self.now + timeout_s:
            self.now += timeout_s
            return []
        self.now, _, event = heapq.heappop(self._events)
        return [event]

    def cancel(self, worker: str, row_id: str) -> None:
        raise NotImplementedError

    def kill(self, worker: str) -> None:
        """The worker dies at once and is not replaced."""
        self._events = [event for event in self._events if event[2].worker != worker]
        heapq.heapify(self._events)
        heapq.heappush(self._events, (self.now, 0, Lost(worker, "killed")))


class ListSource:
    """Rows from memory, all ready."""

    def __init__(self, rows: Iterable[ManifestRow]) -> None:
        self._left = deque(Entry(row) for row in rows)

    @property
    def exhausted(self) -> bool:
        return not self._left

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        return [self._left.popleft() for _ in range(min(most, len(self._left)))]


def run_all(pool: SimulatedPool, rows: Sequence[ManifestRow], policy: DispatchPolicy) -> None:
    """Give all rows to the workers of a pool."""
    dispatcher = Dispatcher(pool, ListSource(rows), policy, clock=lambda: pool.now)
    settled: list[Settled] = []
    while not dispatcher.done:
        settled += dispatcher.step(10)
    assert Counter(one.entry.row.id for one in settled) == Counter(row.id for row in rows)


def hit_rate(
    given: Iterable[Given], needs: Mapping[str, Sequence[Hashable]], entries: int
) -> float:
    """Share of what rows need that was in their worker's cache.

    Args:
        given: rows and their workers, in order.
        needs: the encodings that each row needs, by row id.
        entries: encodings that a worker keeps, the last used ones.
    """
    caches: dict[str, OrderedDict[Hashable, None]] = {}
    hits = lookups = 0
    for one in given:
        cache = caches.setdefault(one.worker, OrderedDict())
        for need in needs[one.row_id]:
            lookups += 1
            hits += need in cache
            cache[need] = None
            cache.move_to_end(need)
            if len(cache) > entries:
                cache.popitem(last=False)
    return hits / lookups
