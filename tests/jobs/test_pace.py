from __future__ import annotations

from jobs.pace import Pace


def test_it_is_time_at_once_and_then_now_and_then() -> None:
    now = 100.0
    pace = Pace(5, clock=lambda: now)
    said = []
    for second in range(12):
        now = 100.0 + second
        if pace.due():
            said.append(second)
    assert said == [0, 5, 10]


def test_a_reason_to_say_it_anyway_begins_the_wait_anew() -> None:
    now = 0.0
    pace = Pace(5, clock=lambda: now)
    assert pace.due()
    now = 4.0
    assert pace.due(anyway=True)
    now = 8.0
    assert not pace.due()
    now = 9.0
    assert pace.due()
