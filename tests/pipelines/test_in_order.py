from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from pipelines.in_order import in_order

PATIENCE_S = 10


class Counted:
    """An endless source of numbers that knows how many were read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.read += 1
            yield self.read


def test_results_come_in_order_whoever_is_done_first() -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(PATIENCE_S)
        if item == 1:
            second_is_done.set()
        return item * item

    assert list(in_order(work, range(50), 3)) == [n * n for n in range(50)]


def test_no_more_is_read_than_the_budget_allows() -> None:
    source = Counted()
    with closing(in_order(str, source, 2)) as results:
        assert source.read == 0
        for taken in range(1, 20):
            assert next(results) == str(taken)
            assert source.read == taken + 3  # 2 * threads, with the one just taken


def test_an_item_takes_its_cost_of_the_budget() -> None:
    source = Counted()
    costs = [1, 5, 1, 9, 1, 1]
    read_by = []
    with closing(in_order(str, source, 2, cost=lambda n: costs[n - 1], budget=6)) as results:
        for _ in range(4):
            next(results)
            read_by.append(source.read)
    assert read_by == [2, 3, 4, 4]  # 1+5, 5+1, 1+9, and 9 by itself


def test_an_exception_comes_in_the_place_of_its_result() -> None:
    source = Counted()

    def work(item: int) -> int:
        return 1 // (3 - item)

    results = in_order(work, source, 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    read = source.read
    assert list(results) == []
    assert source.read == read


@pytest.mark.parametrize("wait", [False, True])
def test_an_early_exit_drops_what_has_not_begun(wait: bool) -> None:
    begun, free = threading.Event(), threading.Event()
    done = []

    def work(item: int) -> int:
        if item:
            begun.set()
            assert free.wait(PATIENCE_S)
        done.append(item)
        return item

    results = in_order(work, range(100), 1, wait=wait)
    assert next(results) == 0
    assert begun.wait(PATIENCE_S)
    closer = threading.Thread(target=results.close)
    closer.start()
    if not wait:
        closer.join(PATIENCE_S)
        assert not closer.is_alive()
        assert done == [0]
    free.set()
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    assert done == ([0, 1] if wait else done[:2])
