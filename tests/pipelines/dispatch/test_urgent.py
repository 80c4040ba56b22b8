"""Urgent rows go first and in order, and rows that wait or are on a worker can be cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.dispatch.workers import Event, Finished, Ready
from pipelines.failures import Failure
from pipelines.handling import Handling
from pipelines.rows import ManifestRow, Outcome
from tests.pipelines.simulated_pool import ListSource
from uso_core.request import Parameters

URGENT = Handling(urgent=True)


def rows(names: str, handling: Handling | None = None) -> list[ManifestRow]:
    return [ManifestRow(n, n, None, (), Parameters(), "f", handling=handling) for n in names]


class SlowPool:
    """Workers that end a row when the test says so.

    Attributes:
        held: rows on each worker, in the order in which they were given.
        cancelled: rows that were cancelled on a worker.
        killed: workers that were killed.
    """

    def __init__(self, workers: Sequence[str] = ("w",)) -> None:
        self.held: dict[str, list[str]] = {worker: [] for worker in workers}
        self.cancelled: list[str] = []
        self.killed: list[str] = []
        self._events: list[Event] = [Ready(worker, "none") for worker in workers]

    @property
    def placed(self) -> int:
        return len(self.held)

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        self.held[worker] += [row.id for row in rows]

    def wait(self, timeout_s: float) -> list[Event]:
        del timeout_s
        events, self._events = self._events, []
        return events

    def cancel(self, worker: str, row_id: str) -> None:
        del worker
        self.cancelled.append(row_id)

    def kill(self, worker: str) -> None:
        self.killed.append(worker)

    def end(self, worker: str, row_id: str, failure: Failure | None = None) -> None:
        self.held[worker].remove(row_id)
        outcome = Outcome(row_id=row_id, failure=failure, cancelled=row_id in self.cancelled)
        self._events.append(Finished(worker, outcome))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def step(dispatcher: Dispatcher) -> list[Settled]:
    return list(dispatcher.step(0))


def two_lanes(
    pool: SlowPool, batch: str, urgent: list[ManifestRow], *, row_timeout_s: float = 1800
) -> tuple[Dispatcher, ListSource, Clock]:
    """Return a dispatcher whose workers are full of batch rows, and the source of urgent rows."""
    clock, late = Clock(), ListSource(urgent)
    policy = DispatchPolicy(rows_in_flight=2, row_timeout_s=row_timeout_s)
    dispatcher = Dispatcher(pool, ListSource(rows(batch)), policy, clock=clock)
    step(dispatcher)
    dispatcher.put_first(late)
    return dispatcher, late, clock


def test_urgent_rows_overtake_waiting_rows_on_a_worker_that_is_full() -> None:
    pool = SlowPool()
    dispatcher, urgent, _ = two_lanes(pool, "abcdefgh", rows("XYZ", URGENT))
    assert pool.held["w"] == ["a", "b"]
    step(dispatcher)
    assert pool.held["w"] == ["a", "b", "X", "Y"]  # one on the device, one fetched meanwhile
    pool.end("w", "X")
    step(dispatcher)
    assert pool.held["w"] == ["a", "b", "Y", "Z"]
    assert urgent.exhausted
    pool.end("w", "a")
    step(dispatcher)
    assert pool.held["w"] == ["b", "Y", "Z"]  # urgent rows count as rows on the worker
    for ended in "bYZ":
        pool.end("w", ended)
        step(dispatcher)
    assert pool.held["w"] == ["c", "d"]


def test_an_urgent_row_goes_to_the_worker_that_begins_it_first() -> None:
    pool = SlowPool(("v", "w"))
    dispatcher, _, _ = two_lanes(pool, "abcd", [])
    pool.end("w", pool.held["w"][0])
    pool.end("w", pool.held["w"][0])
    step(dispatcher)
    dispatcher.put_first(ListSource(rows("XYZ", URGENT)))
    step(dispatcher)
    assert (pool.held["w"], pool.held["v"][2:]) == (["X", "Z"], ["Y"])


def test_a_retry_of_an_urgent_row_is_urgent() -> None:
    pool = SlowPool()
    dispatcher, _, clock = two_lanes(pool, "abcdef", rows("X", URGENT))
    step(dispatcher)
    pool.end("w", "X", Failure("uri_timeout", "slow"))
    assert step(dispatcher) == []
    assert pool.held["w"] == ["a", "b"]
    clock.now = 60
    step(dispatcher)
    assert pool.held["w"] == ["a", "b", "X"]


def test_a_row_that_is_overtaken_gets_more_time() -> None:
    pool = SlowPool()
    dispatcher, _, clock = two_lanes(pool, "ab", rows("X", URGENT), row_timeout_s=10)
    step(dispatcher)
    clock.now = 19
    step(dispatcher)
    assert pool.killed == []
    clock.now = 21
    step(dispatcher)
    assert pool.killed == ["w"]


def test_a_row_with_attempts_of_its_own_is_not_tried_again() -> None:
    pool = SlowPool()
    once = rows("X", Handling(attempts=1))
    dispatcher = Dispatcher(pool, ListSource(once), DispatchPolicy(attempts=3))
    step(dispatcher)
    pool.end("w", "X", Failure("uri_timeout", "slow"))
    (settled,) = step(dispatcher)
    assert settled.attempt == 1


def test_a_waiting_row_is_cancelled_here_and_another_one_on_its_worker() -> None:
    pool = SlowPool()
    dispatcher, _, _ = two_lanes(pool, "abcd", [])
    assert dispatcher.cancel("c")
    (settled,) = step(dispatcher)
    assert (settled.outcome.row_id, settled.outcome.cancelled) == ("c", True)
    assert dispatcher.cancel("a")
    assert pool.cancelled == ["a"]
    pool.end("w", "a")
    (settled,) = step(dispatcher)
    assert (settled.outcome.row_id, settled.outcome.cancelled) == ("a", True)
    assert pool.held["w"] == ["b", "d"]
    assert not dispatcher.cancel("c")
    assert not dispatcher.cancel("unknown")
