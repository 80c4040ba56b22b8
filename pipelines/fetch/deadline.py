"""Deadlines, also for calls that cannot time out by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise `DeadlineExceededError` if no time is left."""
        if self.remaining == 0:
            raise DeadlineExceededError


def call_until(deadline: Deadline, call: Callable[[], T]) -> T:
    """Run a blocking call that has no time-out, and stop waiting for it at the deadline.

    The call then continues in a daemon thread, and its result is dropped.

    Raises:
        DeadlineExceededError: the call did not end in time.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            future.set_exception(error)

    deadline.check()
    threading.Thread(target=run, daemon=True, name="call_until").start()
    done, _ = wait([future], timeout=deadline.remaining)
    if not done:
        raise DeadlineExceededError
    return future.result()
