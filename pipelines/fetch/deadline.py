"""A point in time after which work is given up, and a way to give up calls that cannot time out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The time that was allowed is over."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The point `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at - time.monotonic())

    def check(self) -> None:
        """Raise `DeadlineExceededError` when no time is left."""
        if self.remaining == 0:
            raise DeadlineExceededError


def call_until(deadline: Deadline, call: Callable[[], T]) -> T:
    """Run a blocking call that knows no time-out, and stop waiting for it at the deadline.

    The call goes on in a daemon thread that nobody waits for; its result is dropped.

    Raises:
        DeadlineExceededError: the call had not ended by then.
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
