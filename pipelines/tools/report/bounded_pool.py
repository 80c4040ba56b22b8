"""Threads that take no more work than they can do soon."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

_WAITING_PER_THREAD = 4


class BoundedPool(Generic[T]):
    """Runs calls in threads; `submit` waits while too many are under way, so memory is bounded.

    The first exception of a call is raised by a later `submit`, or at the end of the block.
    """

    def __init__(self, threads: int, on_result: Callable[[T], None]) -> None:
        """Run in `threads` threads; `on_result` is called in the caller's own, in order."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="report")
        self._most = threads * _WAITING_PER_THREAD
        self._on_result = on_result
        self._waiting: deque[Future[T]] = deque()

    def __enter__(self) -> BoundedPool[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            while error is None and self._waiting:
                self._take()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def submit(self, call: Callable[[], T]) -> None:
        """Run `call` soon."""
        while len(self._waiting) >= self._most:
            self._take()
        self._waiting.append(self._threads.submit(call))

    def _take(self) -> None:
        self._on_result(self._waiting.popleft().result())
