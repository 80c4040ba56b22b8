from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

import pytest

from pipelines.handling import Handling
from pipelines.on_ray import row_threads
from pipelines.on_ray.row_threads import Ended, RowThreads
from pipelines.rows import ManifestRow, Outcome
from uso_core.request import Parameters

FOR_EVER_S = 3600.0


def row(name: str, *, urgent: bool = False) -> ManifestRow:
    handling = Handling(urgent=True) if urgent else None
    return ManifestRow(name, "", None, (), Parameters(), "f", handling=handling)


def rows(names: str) -> list[ManifestRow]:
    return [row(name) for name in names]


class Gates:
    """Rows of one letter that end when they are told to."""

    def __init__(self, names: str) -> None:
        self._gates = {name: threading.Event() for name in names}

    def stylize(self, given: ManifestRow) -> Outcome:
        assert self._gates[given.id].wait(20)
        return Outcome(row_id=given.id)

    def open(self, names: str) -> None:
        for name in names:
            self._gates[name].set()


@pytest.fixture
def calls() -> Iterator[Callable[..., Future[list[Ended]]]]:
    """Make calls in threads of their own."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def linger(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return partial(monkeypatch.setattr, row_threads, "LINGER_S")


def ids(ended: Sequence[Ended]) -> list[str]:
    outcomes = [pickle.loads(each.outcome) for each in ended if each.outcome is not None]
    assert [outcome.row_id for outcome in outcomes] == [each.row_id for each in ended]
    return sorted(each.row_id for each in ended)


def test_a_call_with_one_row_returns_when_a_row_ends(
    calls: Callable[..., Future[list[Ended]]], linger: Callable[[float], None]
) -> None:
    linger(FOR_EVER_S)
    gates = Gates("ab")
    threads = RowThreads(gates.stylize)
    both = [calls(threads.exchange, rows(name)) for name in "ab"]
    gates.open("b")
    first, others = wait(both, 20, FIRST_COMPLETED)
    assert [ids(future.result()) for future in first] == [["b"]]
    gates.open("a")
    assert [ids(future.result(20)) for future in others] == [["a"]]


def test_rows_of_one_call_come_back_together(
    calls: Callable[..., Future[list[Ended]]], linger: Callable[[float], None]
) -> None:
    linger(FOR_EVER_S)
    gates = Gates("abc")
    call = calls(RowThreads(gates.stylize).exchange, rows("abc"))
    gates.open("ab")
    assert not call.done()
    gates.open("c")
    assert ids(call.result(20)) == ["a", "b", "c"]


def test_a_row_that_has_ended_does_not_wait_for_a_long_one(
    calls: Callable[..., Future[list[Ended]]], linger: Callable[[float], None]
) -> None:
    linger(0)
    gates = Gates("ab")
    threads = RowThreads(gates.stylize)
    call = calls(threads.exchange, rows("ab"))
    gates.open("a")
    assert ids(call.result(20)) == ["a"]
    rest = calls(threads.exchange, [])
    gates.open("b")
    assert ids(rest.result(20)) == ["b"]
    assert threads.exchange([]) == []


def test_an_urgent_row_waits_for_no_other(
    calls: Callable[..., Future[list[Ended]]], linger: Callable[[float], None]
) -> None:
    linger(FOR_EVER_S)
    gates = Gates("abu")
    call = calls(RowThreads(gates.stylize).exchange, [*rows("ab"), row("u", urgent=True)])
    gates.open("u")
    assert ids(call.result(20)) == ["u"]
    gates.open("ab")


def test_all_rows_are_at_work_at_once() -> None:
    barrier = threading.Barrier(8)

    def work(given: ManifestRow) -> Outcome:
        barrier.wait(20)
        return Outcome(row_id=given.id)

    threads = RowThreads(work)
    for names in ("abcdefgh", "ijklmnop"):  # the threads of the first rows do the next ones
        assert ids(threads.exchange(rows(names))) == list(names)
    assert sum(thread.name == "row" for thread in threading.enumerate()) >= 8


def test_a_bug_concerns_its_row_and_no_other() -> None:
    def work(given: ManifestRow) -> Outcome:
        if given.id == "b":
            raise KeyError("a bug")
        values = {"score": (threading.Lock(),)} if given.id == "c" else {}
        return Outcome(row_id=given.id, image_values=values)

    ended = {each.row_id: each for each in RowThreads(work).exchange(rows("abcd"))}
    assert ids([ended["a"], ended["d"]]) == ["a", "d"]
    assert "KeyError: 'a bug'" in ended["b"].error
    assert ended["b"].outcome is None
    assert "cannot pickle '_thread.lock' object" in ended["c"].error


def test_code_that_ends_its_thread_ends_the_process() -> None:
    code = (
        "import sys, time\n"
        "from pipelines.on_ray.row_threads import RowThreads\n"
        "from tests.pipelines.on_ray.test_row_threads import row\n"
        "RowThreads(lambda row: sys.exit(0)).exchange([row('a')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1, ran.stderr
