"""Parallel work in threads, with results in order and bounded read-ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_AHEAD_PER_THREAD = 2


def in_order(
    work: Callable[[In], Out],
    items: Iterable[In],
    threads: int,
    *,
    cost: Callable[[In], int] = lambda _item: 1,
    budget: int | None = None,
    wait: bool = True,
) -> Generator[Out, None, None]:
    """Yield the result of `work` for each item, in the order of the items.

    Threads work ahead of the caller until the results that it has not taken reach the budget. The
    caller's thread reads `items`, and no further than that.

    Args:
        work: runs in the threads; its exception is raised here in place of its result.
        items: may be endless.
        threads: number of threads.
        cost: units of the budget that an item uses.
        budget: work ahead stops when this many units are in use; None: `2 * threads`.
        wait: True to wait for the running calls on an early exit; False to let them finish in the
            background.
    """
    most = _AHEAD_PER_THREAD * threads if budget is None else budget
    waiting: deque[tuple[int, Future[Out]]] = deque()
    taken = 0
    pool = ThreadPoolExecutor(threads, thread_name_prefix="in-order")
    try:
        for item in items:
            share = cost(item)
            waiting.append((share, pool.submit(work, item)))
            taken += share
            while waiting and taken >= most:
                share, future = waiting.popleft()
                taken -= share
                yield future.result()
        while waiting:
            yield waiting.popleft()[1].result()
    finally:
        pool.shutdown(wait, cancel_futures=True)
