from __future__ import annotations

import pytest

from pipelines.dispatch.flow import FlowControl
from pipelines.rows import Outcome, Timings

TIMES = Timings(fetch=100, condition=10, inference=80, decode=60, store=200)


@pytest.mark.parametrize(
    ("is_beside", "device_s", "after_s", "limit"),
    [
        (False, 0.150, 0.200, 2 + 2),  # 300 ms around 150
        (True, 0.090, 0.260, 2 + 4),  # 360 ms around 90
    ],
)
def test_decoding_beside_the_next_row_is_around_the_device(
    is_beside: bool, device_s: float, after_s: float, limit: int
) -> None:
    flow = FlowControl(fixed=None, most=16)
    outcome = Outcome(row_id="r", timings=TIMES, decoded_beside=is_beside)
    flow.observe(outcome)
    assert outcome.device_s == pytest.approx(device_s)
    assert outcome.after_s == pytest.approx(after_s)
    assert flow.limit == limit


@pytest.mark.parametrize(
    ("device_ms", "fetch_ms", "most", "limit", "at_once"),
    [
        (3000, 0, 8, 2, 1),
        (26, 0, 8, 2, 1),  # as many rows as without calls of several
        (26, 500, 8, 8, 1),
        (10, 0, 32, 2 + 2 * 4, 5),
        (10, 0, 8, 8, 4),
        (1, 0, 32, 32, 16),
        (1, 0, 3, 3, 1),
        (1, 2000, 8, 8, 1),  # the rows of a worker take their time together
        (1, 80, 8, 8, 4),
    ],
)
def test_short_rows_share_calls(
    device_ms: float, fetch_ms: float, most: int, limit: int, at_once: int
) -> None:
    flow = FlowControl(fixed=None, most=most)
    times = Timings(fetch=fetch_ms, condition=0, inference=device_ms, decode=0, store=0)
    for _ in range(9):
        flow.observe(Outcome(row_id="r", timings=times))
    assert (flow.limit, flow.at_once) == (limit, at_once)


def test_a_fixed_number_of_rows_stays_and_half_of_them_share_a_call() -> None:
    flow = FlowControl(fixed=6, most=6)
    assert flow.at_once == 1
    times = Timings(fetch=0, condition=0, inference=1, decode=0, store=0)
    flow.observe(Outcome(row_id="r", timings=times))
    assert (flow.limit, flow.at_once) == (6, 3)


def test_a_full_batch_waits_behind_the_one_on_the_device() -> None:
    flow = FlowControl(fixed=None, most=12, together=4)
    times = Timings(fetch=0, condition=0, inference=1, decode=0, store=0)
    flow.observe(Outcome(row_id="r", timings=times))
    assert (flow.limit, flow.at_once) == (12, 3)


def test_one_long_row_in_five_is_no_reason_to_wait_for_others() -> None:
    flow = FlowControl(fixed=None, most=8)
    for n in range(64):
        long_ms = 3000 if n % 4 == 0 else 1
        times = Timings(fetch=0, condition=0, inference=long_ms, decode=0, store=0)
        flow.observe(Outcome(row_id="r", timings=times))
    assert flow.at_once == 1


def test_rows_that_were_not_drawn_change_nothing() -> None:
    flow = FlowControl(fixed=None, most=16)
    outcome = Outcome(row_id="r", timings=Timings(fetch=100, condition=10))
    flow.observe(outcome)
    assert outcome.device_s is None
    assert flow.limit == 3
