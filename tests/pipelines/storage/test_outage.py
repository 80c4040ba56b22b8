from __future__ import annotations

from pipelines.storage.outage import Outage
from tests.clock import Clock


def fail(outage: Outage, clock: Clock, takes_s: float = 1.0) -> None:
    started = clock.now
    clock.now += takes_s
    outage.failed(started)


def test_operations_share_their_patience() -> None:
    clock = Clock()
    outage = Outage(10, clock)
    for _ in range(9):
        fail(outage, clock)
        assert not outage.over_patience
    fail(outage, clock)
    assert outage.over_patience


def test_one_that_works_ends_the_outage() -> None:
    clock = Clock()
    outage = Outage(10, clock)
    fail(outage, clock, takes_s=10)
    outage.worked()
    assert not outage.over_patience
    fail(outage, clock)
    assert not outage.over_patience


def test_it_is_asked_again_after_some_seconds() -> None:
    clock = Clock()
    outage = Outage(10, clock)
    fail(outage, clock, takes_s=10)
    at_once = outage.given_up
    clock.now += 6
    assert (at_once, outage.given_up) == (True, False)
    fail(outage, clock)  # still away: nobody waits for it once more
    assert outage.over_patience


def test_a_failure_after_a_calm_is_another_outage() -> None:
    clock = Clock()
    outage = Outage(10, clock)
    fail(outage, clock, takes_s=10)
    clock.now += 31
    fail(outage, clock)
    assert not outage.over_patience
