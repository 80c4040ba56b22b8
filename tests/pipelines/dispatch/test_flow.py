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


def test_rows_that_were_not_drawn_change_nothing() -> None:
    flow = FlowControl(fixed=None, most=16)
    outcome = Outcome(row_id="r", timings=Timings(fetch=100, condition=10))
    flow.observe(outcome)
    assert outcome.device_s is None
    assert flow.limit == 3
