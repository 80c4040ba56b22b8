from __future__ import annotations

import math

import pytest

from pipelines.dispatch.device_backlog import DeviceBacklog, work_in
from pipelines.rows import ManifestRow, Outcome, Timings
from uso_core.request import Parameters


def row(name: str, num_steps: int = 10) -> ManifestRow:
    return ManifestRow(name, "", None, (), Parameters(num_steps=num_steps), "f")


def drawn(
    seconds: float, *, decode_s: float = 0, store_s: float = 0, is_beside: bool = False
) -> Outcome:
    timings = Timings(
        fetch=0,
        condition=0,
        inference=1e3 * seconds,
        decode=1e3 * decode_s,
        store=1e3 * store_s,
    )
    return Outcome(row_id="r", timings=timings, decoded_beside=is_beside)


def warm(seconds_for_ten_steps: float) -> DeviceBacklog:
    """The backlog of a worker that finished a row at 0."""
    turns = DeviceBacklog()
    turns.given(row("first"), now=-9)
    turns.ended("first", drawn(seconds_for_ten_steps), now=0)
    return turns


def test_a_worker_that_holds_nothing_is_free() -> None:
    assert DeviceBacklog().left_s(now=0) == 0
    assert warm(2).left_s(now=0) == 0


def test_nothing_is_known_of_a_first_row() -> None:
    turns = DeviceBacklog()
    turns.given(row("a"), now=0)
    assert turns.left_s(now=100) == math.inf


def test_rows_take_turns() -> None:
    turns = warm(2)
    turns.given(row("a"), now=1)
    turns.given(row("b", num_steps=20), now=1)
    assert turns.left_s(now=1) == pytest.approx(2 + 4)
    assert turns.left_s(now=4) == pytest.approx(3)
    assert turns.left_s(now=50) == 0


def test_the_next_turn_began_before_the_row_was_stored() -> None:
    turns = warm(2)
    turns.given(row("a"), now=1)
    turns.given(row("b"), now=1)
    turns.ended("a", drawn(2, store_s=0.5), now=3.5)
    assert turns.left_s(now=3.5) == pytest.approx(1.5)


@pytest.mark.parametrize(("is_beside", "left_s"), [(True, 1.2), (False, 1.8)])
def test_the_next_turn_began_before_what_is_decoded_beside_it(
    is_beside: bool, left_s: float
) -> None:
    turns = warm(2)
    turns.given(row("a"), now=1)
    turns.given(row("b"), now=1)
    outcome = drawn(2, decode_s=0.3, store_s=0.5, is_beside=is_beside)
    turns.ended("a", outcome, now=3.5)
    pace = outcome.device_s  # the second row is as long
    assert pace == pytest.approx(2 if is_beside else 2.3)
    assert turns.left_s(now=3.5) == pytest.approx(left_s)


def test_a_slower_worker_takes_longer() -> None:
    turns = warm(6)
    turns.given(row("a"), now=0)
    assert turns.left_s(now=0) == pytest.approx(6)


def test_a_row_that_was_not_drawn_frees_its_time() -> None:
    turns = warm(2)
    turns.given(row("a"), now=0)
    turns.given(row("b"), now=0)
    turns.ended("a", Outcome(row_id="a", timings=Timings(fetch=100)), now=0.1)
    turns.given(row("c"), now=0.1)
    turns.ended("c", None, now=0.1)
    assert turns.left_s(now=0.1) == pytest.approx(2)


def test_work_follows_what_is_drawn() -> None:
    one = work_in(row("a"))
    assert work_in(row("a", num_steps=20)) == 2 * one
    small = ManifestRow("a", "", None, (), Parameters(num_steps=10, width=512, height=512), "f")
    assert work_in(small) == one / 4
    two = ManifestRow("a", "", None, (), Parameters(num_steps=10, num_images=2), "f")
    assert work_in(two) == 2 * one
