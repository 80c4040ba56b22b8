from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.failures import Failure
from pipelines.handling import Handling
from pipelines.rows import Entry, ManifestRow, Outcome, Timings
from tests.pipelines.inprocess_pool import DiesError, HangsError, InProcessPool
from tests.pipelines.simulated_pool import ListSource, SimulatedPool, run_all
from uso_core.request import Parameters

FAST = DispatchPolicy(retry_delay_s=0.01)


def row(name: str, num_steps: int = 1) -> ManifestRow:
    return ManifestRow(name, "", None, (), Parameters(num_steps=num_steps), "f")


def rows(count: int) -> list[ManifestRow]:
    return [row(f"r{n}") for n in range(count)]


def ok(manifest_row: ManifestRow) -> Outcome:
    return Outcome(row_id=manifest_row.id)


def settle_all(
    pool: InProcessPool, todo: list[ManifestRow], policy: DispatchPolicy | None = None
) -> list[Settled]:
    source = ListSource(todo)
    dispatcher = Dispatcher(pool, source, policy or FAST)
    settled: list[Settled] = []
    deadline = time.monotonic() + 20
    while not dispatcher.done:
        assert time.monotonic() < deadline, "the dispatcher does not come to an end"
        settled += dispatcher.step(0.05)
    return settled


def codes(settled: list[Settled]) -> Counter[str]:
    return Counter(s.outcome.failure.code if s.outcome.failure else "completed" for s in settled)


def test_every_row_settles_once() -> None:
    settled = settle_all(InProcessPool(3, ok), rows(200))
    assert Counter(s.entry.row.id for s in settled) == Counter(r.id for r in rows(200))
    assert codes(settled) == {"completed": 200}
    assert {s.attempt for s in settled} == {1}


def test_no_worker_holds_more_than_the_limit() -> None:
    pool = InProcessPool(2, ok)
    settle_all(pool, rows(60), DispatchPolicy(rows_in_flight=4))
    assert max(slot.most_held for slot in pool.slots.values()) <= 4


class CallsPool(SimulatedPool):
    """Keeps the rows of each call."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.calls: list[list[str]] = []

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        self.calls.append([row.id for row in rows])
        super().submit(worker, rows)


def test_rows_that_a_worker_gets_together_are_one_call() -> None:
    pool = CallsPool(2)
    run_all(pool, rows(40), DispatchPolicy(rows_in_flight=4))
    assert [len(call) for call in pool.calls[:2]] == [4, 4]
    assert all(len(call) == 1 for call in pool.calls[2:])  # long rows: one call for each


def test_rows_that_were_assigned_are_sent_even_if_no_more_can_be_read() -> None:
    class Broken(ListSource):
        def take(self, most: int) -> list[Entry[ManifestRow]]:
            raise OSError("the manifest is gone")

    class Urgent(ListSource):
        """Never ends."""

        exhausted = False

    pool = CallsPool(1)
    dispatcher = Dispatcher(pool, Broken(rows(2)), FAST)
    dispatcher.put_first(Urgent([replace(row("u"), handling=Handling(urgent=True))]))
    with pytest.raises(OSError, match="the manifest is gone"):
        list(dispatcher.step(0))
    assert pool.calls == [["u"]]


def test_a_poison_row_is_found_and_its_neighbours_complete() -> None:
    def work(r: ManifestRow) -> Outcome:
        time.sleep(0.005)
        if r.id == "r7":
            raise DiesError
        return ok(r)

    pool = InProcessPool(2, work)
    settled = settle_all(pool, rows(100))
    assert codes(settled) == {"completed": 99, "worker_lost": 1}
    lost = next(s for s in settled if s.outcome.failure)
    assert lost.entry.row.id == "r7"
    assert settled.index(lost) < 75  # set aside and found, rather than left for the end
    assert pool.neighbours_at_death["r7"][-2:] == [set(), set()]  # condemned only when alone
    neighbours = {s.entry.row.id: pool.tries[s.entry.row.id] for s in settled if s is not lost}
    assert max(neighbours.values()) <= 2


def test_several_poison_rows_at_once() -> None:
    poison = {"r1", "r2", "r3", "r20"}

    def work(r: ManifestRow) -> Outcome:
        if r.id in poison:
            raise DiesError
        return ok(r)

    settled = settle_all(InProcessPool(3, work), rows(40))
    assert codes(settled) == {"completed": 36, "worker_lost": 4}
    assert {s.entry.row.id for s in settled if s.outcome.failure} == poison


def test_a_worker_that_dies_now_and_then_costs_no_row() -> None:
    deaths = Counter[str]()

    def work(r: ManifestRow) -> Outcome:
        if r.id in {"r5", "r15", "r25"} and not deaths[r.id]:
            deaths[r.id] += 1
            raise DiesError
        return ok(r)

    settled = settle_all(InProcessPool(1, work), rows(30))
    assert deaths.total() == 3
    assert codes(settled) == {"completed": 30}
    assert {s.attempt for s in settled} == {1}


def test_a_retryable_failure_is_tried_again_and_a_final_one_is_not() -> None:
    seen = Counter[str]()

    def work(r: ManifestRow) -> Outcome:
        seen[r.id] += 1
        if r.id == "r0" and seen["r0"] == 1:
            return Outcome(row_id=r.id, failure=Failure("uri_timeout", "slow"))
        if r.id == "r1":
            return Outcome(row_id=r.id, failure=Failure("uri_not_found", "gone"))
        return ok(r)

    settled = settle_all(InProcessPool(1, work), rows(3))
    assert codes(settled) == {"completed": 2, "uri_not_found": 1}
    assert (seen["r0"], seen["r1"]) == (2, 1)
    assert {s.entry.row.id: s.attempt for s in settled} == {"r0": 2, "r1": 1, "r2": 1}


def test_a_retryable_failure_ends_after_the_attempts() -> None:
    def work(r: ManifestRow) -> Outcome:
        return Outcome(row_id=r.id, failure=Failure("uri_timeout", "slow"))

    pool = InProcessPool(1, work)
    settled = settle_all(pool, rows(1), DispatchPolicy(attempts=2, retry_delay_s=0.01))
    assert codes(settled) == {"uri_timeout": 1}
    assert pool.tries["r0"] == 2


def test_a_bug_is_tried_twice_and_recorded_as_internal() -> None:
    def work(r: ManifestRow) -> Outcome:
        if r.id == "r1":
            raise ValueError("a bug")
        return ok(r)

    pool = InProcessPool(1, work)
    settled = settle_all(pool, rows(3))
    assert codes(settled) == {"completed": 2, "internal": 1}
    assert pool.tries["r1"] == 2
    failure = next(s.outcome.failure for s in settled if s.outcome.failure)
    assert "a bug" in failure.message


def test_a_hung_row_is_cut_off() -> None:
    def work(r: ManifestRow) -> Outcome:
        if r.id == "r1":
            raise HangsError
        return ok(r)

    settled = settle_all(InProcessPool(2, work), rows(10), DispatchPolicy(row_timeout_s=0.2))
    assert codes(settled) == {"completed": 9, "worker_lost": 1}


def test_draining_lets_rows_end_and_gives_out_no_more() -> None:
    def work(r: ManifestRow) -> Outcome:
        time.sleep(0.05)
        return ok(r)

    source = ListSource(rows(50))
    dispatcher = Dispatcher(InProcessPool(1, work), source, DispatchPolicy(rows_in_flight=2))
    settled = list(dispatcher.step(0.5))
    while not dispatcher.in_flight:
        settled += dispatcher.step(0.5)
    held = dispatcher.in_flight
    dispatcher.drain()
    before = len(settled)
    while not dispatcher.done:
        settled += dispatcher.step(0.5)
    assert len(settled) - before == held


def test_rows_in_flight_follow_the_measured_times() -> None:
    times = Timings(fetch=200, condition=0, inference=50, decode=0, store=100)

    def work(r: ManifestRow) -> Outcome:
        time.sleep(0.01)
        return Outcome(row_id=r.id, timings=times)

    pool = InProcessPool(1, work)
    settle_all(pool, rows(100), DispatchPolicy(max_rows_in_flight=32))
    assert pool.slots["w0"].most_held == 8  # 2 + (200 + 100) / 50


def test_the_longest_rows_start_first_near_the_end() -> None:
    order: list[str] = []

    def work(r: ManifestRow) -> Outcome:
        order.append(r.id)
        return ok(r)

    todo = [row(f"r{n}", num_steps=n + 1) for n in range(6)]
    settle_all(InProcessPool(1, work), todo, DispatchPolicy(rows_in_flight=1, max_rows_in_flight=8))
    assert order.index("r5") < order.index("r2")


def test_rows_that_wait_for_their_turn_are_not_overdue() -> None:
    # The sixth row ends 5 to 7 s after it was given, and one row alone may take 1.5 s.
    pool = SimulatedPool(1)
    run_all(pool, rows(6), DispatchPolicy(rows_in_flight=6, row_timeout_s=1.5))
    assert [given.at_s for given in pool.given] == [0.0] * 6
    assert pool.now > 4.8


def test_what_has_settled_comes_before_what_ends_the_run() -> None:
    def stop_at_failure(_failure: Failure) -> None:
        raise RuntimeError("the disk is full")

    def work(r: ManifestRow) -> Outcome:
        if r.id == "r3":
            time.sleep(0.2)
            return Outcome(row_id=r.id, failure=Failure("storage_write", "full"))
        return ok(r)

    source = ListSource(rows(4))
    pool = InProcessPool(1, work)
    policy = DispatchPolicy(rows_in_flight=4)
    dispatcher = Dispatcher(pool, source, policy, on_failure=stop_at_failure)
    settled: set[str] = set()

    def go_on() -> None:
        while True:
            time.sleep(0.1)  # so that several events come in one step
            settled.update(one.entry.row.id for one in dispatcher.step(0.5))

    with pytest.raises(RuntimeError, match="the disk is full"):
        go_on()
    assert settled == {"r0", "r1", "r2"}
