"""Retries an operation on a store while its fault may pass, with jittered exponential backoff."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import NoReturn, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from pipelines.errors import StorageError
from pipelines.storage.faults import fault_of

T = TypeVar("T")

LOOK_S = 10.0
"""Seconds for which a command that only looks waits for a store that is unavailable."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits and waits for retries of an operation on a store that is unavailable.

    Attributes:
        seconds: time from the first attempt after which none is begun; None: no limit.
        attempts: maximum number of attempts; None: no limit.
        first_wait_s: upper bound of the first wait; it doubles with each attempt.
        longest_wait_s: upper bound of every wait.
    """

    seconds: float | None = 120
    attempts: int | None = None
    first_wait_s: float = 0.2
    longest_wait_s: float = 10

    def call(
        self,
        operation: Callable[[], T],
        *,
        give_up: Callable[[], bool] = lambda: False,
        on_wait: Callable[[BaseException], None] = lambda _: None,
    ) -> T:
        """Return the result of `operation`; its last error passes through unchanged.

        Args:
            operation: safe to repeat.
            give_up: returns True once another attempt is pointless.
            on_wait: called with the error before each wait.
        """
        began = time.monotonic()
        try:
            return operation()
        except Exception as error:
            if not _may_pass(error):
                raise
            first = error
        # Only now, because these objects take longer than the read of a small local file.
        fail: Callable[[], T] = partial(_fail, first)
        attempts = chain([fail], repeat(operation))

        def attempt() -> T:
            return next(attempts)()

        retrying = Retrying(
            stop=lambda state: self._is_over(state.attempt_number, began) or give_up(),
            wait=wait_random_exponential(multiplier=self.first_wait_s, max=self.longest_wait_s),
            retry=retry_if_exception(_may_pass),
            before_sleep=lambda state: on_wait(_error_in(state)),
            reraise=True,
        )
        return retrying(attempt)

    def _is_over(self, attempts: int, began: float) -> bool:
        if self.attempts is not None and attempts >= self.attempts:
            return True
        return self.seconds is not None and time.monotonic() - began >= self.seconds


def _fail(error: Exception) -> NoReturn:
    raise error


def _error_in(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    assert error is not None  # or there would be no retry
    return error


def _may_pass(error: BaseException) -> bool:
    fault = error.fault if isinstance(error, StorageError) else fault_of(error)
    return fault == "unavailable"
