from __future__ import annotations

from pipelines.telemetry.rates import LastMinute


def test_it_looks_back_a_minute() -> None:
    marks = LastMinute[str]()
    assert marks.note(5, "a") == (5, "a")
    assert marks.note(30, "b") == (5, "a")
    assert marks.note(65, "c") == (5, "a")
    assert marks.note(66, "d") == (30, "b")
    assert marks.note(120, "e") == (65, "c")


def test_there_is_always_one_to_compare_with() -> None:
    marks = LastMinute[int]()
    marks.note(0, 1)
    assert marks.note(1000, 2) == (0, 1)
    assert marks.note(2000, 3) == (1000, 2)
