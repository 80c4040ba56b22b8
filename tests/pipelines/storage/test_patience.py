from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pipelines.errors import StorageError
from pipelines.storage.patience import Patience

QUICK = Patience(first_wait_s=0.001, longest_wait_s=0.002)


class Failing:
    """Fails some times, and then returns the number of its calls."""

    def __init__(self, times: int, error: Callable[[], BaseException] = TimeoutError) -> None:
        self.calls = 0
        self._times = times
        self._error = error

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._times:
            raise self._error()
        return self.calls


@pytest.mark.parametrize("times", [0, 1, 5])
def test_a_fault_that_passes_is_waited_out(times: int) -> None:
    waited: list[BaseException] = []
    assert QUICK.call(Failing(times), on_wait=waited.append) == times + 1
    assert [type(error) for error in waited] == [TimeoutError] * times


@pytest.mark.parametrize(("attempts", "calls"), [(1, 1), (2, 2), (4, 4)])
def test_no_more_attempts_are_made_than_allowed(attempts: int, calls: int) -> None:
    failing = Failing(100)
    with pytest.raises(TimeoutError):
        Patience(attempts=attempts, first_wait_s=0.001).call(failing)
    assert failing.calls == calls


def test_without_patience_there_is_one_attempt() -> None:
    failing, waited = Failing(1), list[BaseException]()
    with pytest.raises(TimeoutError):
        Patience(seconds=0).call(failing, on_wait=waited.append)
    assert (failing.calls, waited) == (1, [])


def test_the_patience_counts_from_the_first_attempt() -> None:
    def slow() -> BaseException:
        time.sleep(0.3)
        return TimeoutError()

    failing = Failing(100, slow)
    with pytest.raises(TimeoutError):
        Patience(seconds=0.25, first_wait_s=0.001).call(failing)
    assert failing.calls == 1


def test_it_gives_up_when_told() -> None:
    failing = Failing(100)
    with pytest.raises(TimeoutError):
        QUICK.call(failing, give_up=lambda: failing.calls == 3)
    assert failing.calls == 3


@pytest.mark.parametrize(
    "error",
    [
        lambda: ValueError("a bug"),
        lambda: FileNotFoundError("a"),
        lambda: StorageError("a", "b", "full"),
        KeyboardInterrupt,
    ],
    ids=["bug", "not found", "full", "interrupt"],
)
def test_an_error_that_stays_passes_at_once(error: Callable[[], BaseException]) -> None:
    failing = Failing(1, error)
    with pytest.raises(type(error())):
        QUICK.call(failing)
    assert failing.calls == 1


def test_an_error_after_a_fault_that_passes_is_the_one_that_is_raised() -> None:
    errors = iter([TimeoutError(), ConnectionResetError(), ValueError("a bug")])
    failing = Failing(3, lambda: next(errors))
    with pytest.raises(ValueError, match="a bug"):
        QUICK.call(failing)
    assert failing.calls == 3
