"""Workers that fail to start, or that find no place to run."""

from __future__ import annotations

import time

import pytest

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.errors import WorkersFailedError
from pipelines.rows import ManifestRow, Outcome
from tests.pipelines.dispatch.test_dispatcher import FAST, codes, ok, rows, settle_all
from tests.pipelines.inprocess_pool import DiesError, InProcessPool
from tests.pipelines.simulated_pool import ListSource


def test_failed_starts_are_forgiven_up_to_the_limit() -> None:
    settled = settle_all(InProcessPool(1, ok, failing_starts=2), rows(5))
    assert codes(settled) == {"completed": 5}
    with pytest.raises(WorkersFailedError, match=r"3 times in a row.*no such weights"):
        settle_all(InProcessPool(1, ok, failing_starts=3), rows(5))


def test_a_node_that_dies_while_its_workers_load_is_no_row_of_failed_starts() -> None:
    settled = settle_all(InProcessPool(8, ok, failing_starts=8), rows(5))
    assert codes(settled) == {"completed": 5}


def slow_last_row(r: ManifestRow) -> Outcome:
    time.sleep(0.4 if r.id == "r0" else 0.01)
    return ok(r)


def settle_all_but(pool: InProcessPool, todo: list[ManifestRow]) -> tuple[Dispatcher, int]:
    """A dispatcher that waits for r0, on a worker of its own, and how many rows have settled."""
    dispatcher = Dispatcher(pool, ListSource(todo), FAST)
    settled = 0
    while settled < len(todo) - 1:
        settled += len(list(dispatcher.step(0.05)))
    return dispatcher, settled


def test_idle_workers_whose_node_goes_away_do_not_end_the_run() -> None:
    pool = InProcessPool(4, slow_last_row)
    dispatcher, settled = settle_all_but(pool, rows(8))
    for name in [name for name, slot in pool.slots.items() if not slot.held]:
        pool.kill(name)
    while not dispatcher.done:
        settled += len(list(dispatcher.step(0.05)))
    assert settled == 8


def test_a_worker_that_cannot_start_does_not_end_the_work_of_others() -> None:
    pool = InProcessPool(2, slow_last_row)
    dispatcher, settled = settle_all_but(pool, rows(8))
    pool.failing_starts = 10
    pool.kill(next(name for name, slot in pool.slots.items() if not slot.held))
    while not dispatcher.done:
        settled += len(list(dispatcher.step(0.05)))
    assert (settled, pool.failing_starts) == (8, 0)


def test_no_room_for_any_worker_ends_the_run_after_a_while() -> None:
    policy = DispatchPolicy(placement_timeout_s=0.2)
    with pytest.raises(WorkersFailedError, match="placement_timeout_s"):
        settle_all(InProcessPool(2, ok, room=False), rows(3), policy)


def test_workers_that_are_placed_late_do_their_work() -> None:
    pool = InProcessPool(2, ok, room=False)
    source = ListSource(rows(6))
    dispatcher = Dispatcher(pool, source, DispatchPolicy(placement_timeout_s=5))
    assert list(dispatcher.step(0.01)) == []
    pool.find_room()
    settled: list[Settled] = []
    while not dispatcher.done:
        settled += dispatcher.step(0.05)
    assert codes(settled) == {"completed": 6}


def test_poison_rows_on_the_only_worker_do_not_count_as_failed_starts() -> None:
    def work(r: ManifestRow) -> Outcome:
        if r.id in {"r0", "r1", "r2"}:
            raise DiesError
        return ok(r)

    settled = settle_all(InProcessPool(1, work), rows(5))
    assert codes(settled) == {"completed": 2, "worker_lost": 3}
