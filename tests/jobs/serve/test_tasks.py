"""Tasks in the database: accepted, claimed and ended once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jobs.serve.store.database import Database, open_database
from jobs.serve.store.replays import Replay
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, NewTask, Reference, State
from pipelines.errors import ConfigError

T = TypeVar("T")


def with_store(location: str, work: Callable[[TaskStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_database(location) as database:
            return await work(TaskStore(database))

    return asyncio.run(run())


def new(key: str = "k", **fields: Any) -> NewTask:
    drawing = Drawing(
        prompt="a cat", content=Reference(uri="https://h/a.png"), styles=[Reference(file_id="f")]
    )
    return NewTask(key_id=key, dialect="wavespeed", drawing=drawing, **fields)


def test_a_task_comes_back_as_it_was_accepted(location: str) -> None:
    async def work(store: TaskStore) -> None:
        task = await store.add(new(webhook="https://h/hook", given={"prompt": "a cat"}))
        assert await store.get(task.id, "k") == task
        assert await store.get(task.id, "other") is None
        assert task.state is State.QUEUED
        assert task.drawing.styles == (Reference(file_id="f"),)
        events = await store.events_of(task.id)
        assert [state for state, _ in events] == [State.RECEIVED, State.QUEUED]

    with_store(location, work)


def test_a_task_is_claimed_once(location: str) -> None:
    async def work(store: TaskStore) -> None:
        ids = {(await store.add(new())).id for _ in range(40)}
        claimed: list[str] = []
        while len(claimed) < 40:
            claims = await asyncio.gather(*(store.claim("interactive", 3) for _ in range(20)))
            claimed += [task.id for claim in claims for task in claim]
        assert len(claimed) == len(set(claimed)) == 40
        assert set(claimed) == ids
        assert await store.count_waiting() == 0

    with_store(location, work)


def test_keys_take_turns(location: str) -> None:
    async def work(store: TaskStore) -> None:
        for key in ("many", "many", "many", "few"):
            await store.add(new(key))
        assert {task.key_id for task in await store.claim("interactive", 2)} == {"many", "few"}

    with_store(location, work)


def test_keys_take_turns_if_one_task_is_claimed_at_a_time(location: str) -> None:
    async def work(store: TaskStore) -> None:
        for key in ("many", "many", "many", "few"):
            await store.add(new(key))
        claims = [await store.claim("interactive", 1) for _ in range(4)]
        assert [task.key_id for (task,) in claims] == ["many", "few", "many", "many"]

    with_store(location, work)


def test_lanes_are_claimed_apart(location: str) -> None:
    async def work(store: TaskStore) -> None:
        batch = await store.add(new(lane="batch"))
        assert await store.claim("interactive", 5) == []
        assert [task.id for task in await store.claim("batch", 5)] == [batch.id]

    with_store(location, work)


def test_a_task_ends_once(location: str) -> None:
    async def work(store: TaskStore) -> None:
        task = await store.add(new())
        await store.claim("interactive", 1)
        ends = await asyncio.gather(*(store.fail(task.id, "internal", "no") for _ in range(9)))
        assert sum(ends) == 1
        assert not await store.complete(task, ([], []), 5)
        assert not await store.advance(task.id, State.RUNNING)
        assert not await store.cancel(task.id)
        events = await store.events_of(task.id)
        assert [state for state, _ in events][-1] is State.FAILED

    with_store(location, work)


def test_a_cancel_ends_a_waiting_task_at_once_and_another_after_its_step(location: str) -> None:
    async def work(store: TaskStore) -> None:
        at_work, waiting = await store.add(new()), await store.add(new())
        await store.claim("interactive", 1)
        assert await store.cancel(waiting.id)
        assert await store.cancel(at_work.id)
        states = [await store.get(task.id) for task in (waiting, at_work)]
        assert [task.state for task in states if task] == [State.CANCELLED, State.CANCELLING]
        assert await store.cancelled(at_work.id)

    with_store(location, work)


def test_tasks_at_work_wait_again_after_a_restart(location: str) -> None:
    async def first(store: TaskStore) -> str:
        await store.add(new())
        (task,) = await store.claim("interactive", 1)
        assert await store.start(task)
        assert await store.start(task)  # an actor that died; the same attempt of the server
        return task.id

    async def second(store: TaskStore) -> None:
        assert [task.id for task in await store.at_work()] == [task_id]
        assert await store.at_work(without=[task_id]) == []
        assert await store.requeue(task_id)
        (task,) = await store.claim("interactive", 5)
        assert (task.id, task.attempts) == (task_id, 1)

    task_id = with_store(location, first)
    with_store(location, second)


def test_requests_at_once_with_one_idempotency_key_give_one_task(location: str) -> None:
    async def work(store: TaskStore) -> None:
        replay = Replay("once", "hash of the body")
        added = await asyncio.gather(*(store.add(new(), replay) for _ in range(8)))
        assert len({task.id for task in added}) == 1
        assert await store.count_waiting() == 1

    with_store(location, work)


def test_updates_at_once_are_not_lost(location: str) -> None:
    async def work(store: TaskStore) -> None:
        task = await store.add(new())
        await store.claim("interactive", 1)
        await asyncio.gather(*(store.advance(task.id, State.RUNNING, n) for n in range(20)))
        assert len(await store.events_of(task.id)) == 3 + 20

    with_store(location, work)


def test_an_accepted_task_survives_the_death_of_the_server(location: str) -> None:
    child = f"""
import asyncio, os
from pathlib import Path
from jobs.serve.store.replays import Replay
from jobs.serve.store.tasks import TaskStore
from tests.jobs.serve.test_tasks import new, with_store
async def work(store):
    print((await store.add(new())).id, flush=True)
    os._exit(9)
with_store({location!r}, work)
"""
    ended = subprocess.run(
        [sys.executable, "-c", child], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 9, ended.stderr

    async def find(store: TaskStore) -> None:
        assert await store.get(ended.stdout.strip()) is not None

    with_store(location, find)


def test_a_second_server_on_the_same_database_is_refused(location: str) -> None:
    async def work(_: TaskStore) -> None:
        with pytest.raises(ConfigError, match="another `uso serve` uses it"):
            async with open_database(location):
                pass
        async with open_database(location, exclusive=False):
            pass

    with_store(location, work)


def test_the_database_is_readable_by_its_owner_alone_and_syncs(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            assert await pragma(database, "journal_mode") == "wal"
            assert await pragma(database, "synchronous") == 2  # FULL

    asyncio.run(run())
    assert (tmp_path / "uso.db").stat().st_mode & 0o777 == 0o600


async def pragma(database: Database, name: str) -> Any:
    async with database.reading() as connection:
        return (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()


def test_an_unusable_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "uso.db").write_text("plain text under the name of a database " * 9)
    with pytest.raises(ConfigError, match=r"serve\.database .*uso\.db: .*not a database"):
        with_store(str(tmp_path / "uso.db"), lambda store: store.get("a"))
