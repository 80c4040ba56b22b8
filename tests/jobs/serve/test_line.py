"""The order of waiting tasks, against its definition."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import cast

import pytest

from jobs.serve.store.database import Database
from jobs.serve.store.line import Line, Place
from jobs.serve.store.queue import Queue
from jobs.serve.store.task_rows import new_row, task_of_values
from jobs.serve.task import Task
from tests.jobs.serve.test_tasks import new


def place(sequence: int, key: str = "k", lane: str = "interactive") -> Place:
    return Place(sequence, f"t{sequence}", key, lane)  # type: ignore[arg-type]


def task_with(task_id: str) -> Task:
    return task_of_values({**new_row(new()), "id": task_id, "sequence": 0})


@dataclass
class Model:
    """The line by its definition: every turn is counted anew."""

    waiting: list[Place]
    at_work: dict[str, str]

    def order(self, lane: str) -> list[Place]:
        mine = sorted(each for each in self.waiting if each.lane == lane)
        return sorted(mine, key=lambda each: (self.turn(each, mine), each.sequence))

    def turn(self, place: Place, lane: list[Place]) -> int:
        own = [each for each in lane if each.key_id == place.key_id]
        return own.index(place) + list(self.at_work.values()).count(place.key_id)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_is_that_of_its_definition(seed: int) -> None:
    rng, line, model = random.Random(seed), Line(), Model([], {})
    for step in range(120):
        change(rng, step, line, model)
        for lane in ("interactive", "batch"):
            expected = model.order(lane)
            assert line.first(lane, 5, {}) == expected[:5]
            ahead = len(model.order("interactive")) if lane == "batch" else 0
            for number, each in enumerate(expected):
                assert line.before(task_with(each.task_id)) == ahead + number
        assert len(line) == len(model.waiting)


def change(rng: random.Random, step: int, line: Line, model: Model) -> None:
    known = [each.task_id for each in model.waiting] + list(model.at_work)
    what = rng.choice(["wait", "wait", "wait", "work", "leave", "again"])
    if what == "wait" or not known:
        added = place(step, rng.choice("abc"), rng.choice(["interactive", "interactive", "batch"]))
        line.wait(added)
        model.waiting.append(added)
    elif what == "work" and model.waiting:
        taken = rng.choice(model.waiting)
        line.work(taken.task_id, taken.key_id)
        model.waiting.remove(taken)
        model.at_work[taken.task_id] = taken.key_id
    elif what == "again" and model.at_work:
        task_id = rng.choice(list(model.at_work))
        again = Place(int(task_id[1:]), task_id, model.at_work.pop(task_id), "interactive")
        line.wait(again)
        model.waiting.append(again)
    else:
        gone = rng.choice(known)
        line.leave(gone)
        model.waiting = [each for each in model.waiting if each.task_id != gone]
        model.at_work.pop(gone, None)


def test_a_key_gets_no_more_than_its_room() -> None:
    line = Line()
    for sequence, key in enumerate("aaabb"):
        line.wait(place(sequence, key))
    assert [each.key_id for each in line.first("interactive", 9, {"a": 1})] == ["a", "b", "b"]
    assert [each.key_id for each in line.first("interactive", 9, {"a": 0, "b": 1})] == ["b"]
    assert len(line.first("interactive", 9, {"a": 7})) == 5


def test_counts_follow_the_tasks() -> None:
    line = Line()
    for sequence, key in enumerate("aab"):
        line.wait(place(sequence, key))
    line.work("t0", "a")
    assert (line.waiting("a"), line.at_work("a"), line.waiting("b"), len(line)) == (1, 1, 1, 2)
    line.leave("t0")
    line.leave("t0")
    assert (line.waiting("a"), line.at_work("a"), line.at_work("unknown")) == (1, 0, 0)
    assert line.before(task_with("t0")) is None


class SlowQueue(Queue):
    """Reads an empty line; each read ends when the test says so."""

    def __init__(self) -> None:
        super().__init__(cast("Database", None))
        self.reads: list[asyncio.Event] = []

    async def _read(self) -> Line:
        line, end = Line(), asyncio.Event()
        self.reads.append(end)
        await end.wait()
        return line


def test_a_task_that_comes_between_the_ends_of_two_reads_is_not_lost() -> None:
    async def work() -> None:
        queue = SlowQueue()
        first, second = (asyncio.create_task(queue.line()) for _ in range(2))
        await until_idle()
        queue.reads[0].set()
        await first
        queue.wait(place(1))
        for read in queue.reads:
            read.set()
        await second
        assert (await queue.line()).first("interactive", 5, {}) == [place(1)]

    asyncio.run(work())


def test_a_task_that_comes_during_a_read_is_not_hidden_by_another_reader() -> None:
    async def work() -> None:
        queue = SlowQueue()
        first = asyncio.create_task(queue.line())
        await until_idle()
        queue.wait(place(1))  # committed after the first read has begun
        second = asyncio.create_task(queue.line())
        await until_idle()
        queue.reads[0].set()
        await until_idle()
        assert not first.done()  # it reads again
        for read in queue.reads:
            read.set()
        await asyncio.gather(first, second)

    asyncio.run(work())


async def until_idle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
