from __future__ import annotations

import time

import pytest

from pipelines.fetch.deadline import Deadline, DeadlineExceededError, call_until


def test_what_ends_in_time_is_passed_on() -> None:
    assert call_until(Deadline.after(5), lambda: 42) == 42

    def timed_out() -> None:
        raise TimeoutError("the call's own")

    with pytest.raises(TimeoutError, match="own"):
        call_until(Deadline.after(5), timed_out)


def test_what_does_not_is_not_waited_for() -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        call_until(Deadline.after(0.05), lambda: time.sleep(2))
    assert time.monotonic() - started < 1.5


def test_after_the_deadline_nothing_is_started() -> None:
    started = []
    with pytest.raises(DeadlineExceededError):
        call_until(Deadline.after(-1), lambda: started.append(1))
    assert started == []
    assert Deadline.after(-1).remaining == 0
