"""Assignment of the last rows of a run, on a simulated clock."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import count, pairwise

import pytest

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.dispatch.workers import Event, Finished, Ready
from pipelines.rows import ManifestRow, Outcome, Timings
from tests.pipelines.simulated_pool import ListSource
from uso_core.request import Parameters

STEP_S = 0.25
WORKERS = 8
Turn = tuple[float, float]  # of a row on its device: start and end


class StagedPool:
    """Workers that fetch, draw one row at a time and store, in no time but the clock's."""

    def __init__(self, starts_s: Sequence[float], *, fetch_s: float, store_s: float) -> None:
        self.now = 0.0
        self.turns: dict[str, list[Turn]] = defaultdict(list)
        self._fetch_s = fetch_s
        self._store_s = store_s
        self._events: list[tuple[float, int, Event]] = []
        self._order = count()
        for n, start_s in enumerate(starts_s):
            self._at(start_s, Ready(f"w{n}", "cpu"))

    @property
    def placed(self) -> int:
        return WORKERS

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        for row in rows:
            self._draw(worker, row)

    def _draw(self, worker: str, row: ManifestRow) -> None:
        turns = self.turns[worker]
        start = max(self.now + self._fetch_s, turns[-1][1] if turns else 0)
        drawing_s = row.parameters.num_steps / 10
        turns.append((start, start + drawing_s))
        timings = Timings(
            fetch=1e3 * self._fetch_s,
            condition=0,
            inference=1e3 * drawing_s,
            decode=0,
            store=1e3 * self._store_s,
        )
        outcome = Outcome(row_id=row.id, timings=timings)
        self._at(start + drawing_s + self._store_s, Finished(worker, outcome))

    def wait(self, timeout_s: float) -> list[Event]:
        until = self.now + timeout_s
        if not self._events or self._events[0][0] > until:
            self.now = until
            return []
        self.now, _, event = heapq.heappop(self._events)
        return [event]

    def cancel(self, worker: str, row_id: str) -> None:
        raise NotImplementedError

    def kill(self, worker: str) -> None:
        raise AssertionError(f"{worker} is not overdue")

    def _at(self, when: float, event: Event) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))


def rows_of(steps: Sequence[int]) -> ListSource:
    """Rows that are all ready, each with its number of steps."""
    return ListSource(
        ManifestRow(f"r{n}", "", None, (), Parameters(num_steps=num_steps), "f")
        for n, num_steps in enumerate(steps)
    )


def work_off(pool: StagedPool, steps: Sequence[int]) -> None:
    policy = DispatchPolicy(max_rows_in_flight=16)
    dispatcher = Dispatcher(pool, rows_of(steps), policy, clock=lambda: pool.now)
    settled = 0
    while not dispatcher.done:
        settled += len(list(dispatcher.step(STEP_S)))
    assert settled == len(steps)


def staggered_pool(chance: random.Random) -> StagedPool:
    return StagedPool([chance.random() for _ in range(WORKERS)], fetch_s=0.2, store_s=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_no_device_waits_for_the_last_rows_either(seed: int) -> None:
    pool = staggered_pool(random.Random(seed))
    work_off(pool, [20] * 15 * WORKERS)
    for turns in pool.turns.values():
        gaps = [after[0] - before[1] for before, after in pairwise(turns)]
        assert max(gaps) == pytest.approx(0)


@pytest.mark.parametrize("seed", range(5))
def test_devices_end_together_where_rows_are_uneven(seed: int) -> None:
    chance = random.Random(seed)
    pool = staggered_pool(chance)
    work_off(pool, [chance.choice([2, 2, 2, 4, 4, 8, 16]) for _ in range(100 * WORKERS)])
    ends = [turns[-1][1] for turns in pool.turns.values()]
    assert max(ends) - min(ends) < 0.25  # and a row takes 0.2 to 1.6


def test_the_last_row_does_not_wait_behind_another_one() -> None:
    pool = StagedPool([0.5 * n for n in range(WORKERS)], fetch_s=0.2, store_s=0.3)
    work_off(pool, [40] * (4 * WORKERS + 1))
    longest = max(pool.turns, key=lambda name: len(pool.turns[name]))
    assert longest == "w0"  # whose device was free first
