"""SQLite in the event loop: syncs together, errors apart, and the locks of other processes."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.serve.store.database import open_database
from jobs.serve.store.engines import inline_engine
from jobs.serve.store.history import History
from jobs.serve.store.inline import InlineDatabase
from jobs.serve.store.keys import KeyStore
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, NewTask, State

ADD = sa.text("INSERT INTO numbers VALUES (:number)")


def with_file(path: Path, work: Callable[[InlineDatabase], Awaitable[None]]) -> None:
    """Run work on a table of unique numbers."""

    async def run() -> None:
        database = InlineDatabase(inline_engine(path))
        async with database.writing() as connection:
            await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER UNIQUE)")
        await work(database)
        await database.close()

    asyncio.run(run())


class Disk:
    """Syncs that end when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.error: OSError | None = None
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, _: int) -> None:
        self.begun += 1
        self.go.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def add(database: InlineDatabase, number: int, *, durable: bool = True) -> None:
    async with database.writing(durable=durable) as connection:
        await connection.execute(ADD, {"number": number})


def numbers_in(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT number FROM numbers")]
    finally:
        connection.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def test_blocks_at_once_share_a_sync(tmp_path: Path, disk: Disk) -> None:
    async def work(database: InlineDatabase) -> None:
        before = disk.begun
        await asyncio.gather(*(add(database, number) for number in range(50)))
        assert disk.begun - before == 1
        assert sorted(numbers_in(tmp_path / "a.db")) == list(range(50))

    disk.go.set()
    with_file(tmp_path / "a.db", work)


def test_a_block_waits_for_a_sync_that_began_after_its_commit(tmp_path: Path, disk: Disk) -> None:
    async def work(database: InlineDatabase) -> None:
        before = disk.begun
        disk.go.clear()
        first = asyncio.create_task(add(database, 1))
        await until(lambda: disk.begun == before + 1)
        second = asyncio.create_task(add(database, 2))
        await until(lambda: disk.begun == before + 2)  # its own, without a wait for the first one
        await add(database, 3, durable=False)  # the lock is free, and it needs no sync
        assert numbers_in(tmp_path / "a.db") == [1, 2, 3]
        assert not first.done()
        assert not second.done()
        settled = asyncio.create_task(database.settled())
        await asyncio.sleep(0.01)
        assert not settled.done()
        disk.go.set()
        await asyncio.gather(first, second, settled)

    disk.go.set()
    with_file(tmp_path / "a.db", work)


def test_a_disk_that_fails_is_an_error_of_the_blocks_that_wait(tmp_path: Path, disk: Disk) -> None:
    async def work(database: InlineDatabase) -> None:
        disk.error = OSError(errno.EIO, "Input/output error")
        adding = [add(database, number) for number in range(2)]
        results = await asyncio.gather(*adding, return_exceptions=True)
        assert results == [disk.error, disk.error]
        disk.error = None
        await add(database, 2)

    disk.go.set()
    with_file(tmp_path / "a.db", work)


def test_the_log_is_moved_into_the_database_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def work(database: InlineDatabase) -> None:
        for number in range(2000):
            await add(database, number, durable=number % 100 == 0)
        assert Path(f"{path}-wal").stat().st_size < 2000 * 4096
        assert path.stat().st_size > 2 * 4096

    with_file(path, work)
    assert len(numbers_in(path)) == 2000


def test_nobody_hears_of_an_end_before_it_is_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    async def run() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            task = await store.add(NewTask(key_id="k", dialect="wavespeed", drawing=Drawing()))
            disk.go.clear()
            ending = asyncio.create_task(store.cancel(task.id))
            before = disk.begun
            await until(lambda: disk.begun > before)
            one = asyncio.create_task(store.get(task.id))
            some = asyncio.create_task(History(database).page("k", 10))
            await asyncio.sleep(0.05)
            assert not one.done()
            assert not some.done()
            disk.go.set()
            assert await ending
            seen, (page, _) = await asyncio.gather(one, some)
            assert seen is not None
            assert seen.state is page[0].state is State.CANCELLED

    disk.go.set()
    asyncio.run(run())


def test_a_block_is_committed_when_it_ends(tmp_path: Path) -> None:
    async def work(database: InlineDatabase) -> None:
        for number, durable in enumerate((True, False, False, True)):
            await add(database, number, durable=durable)
            assert numbers_in(tmp_path / "a.db") == list(range(number + 1))

    with_file(tmp_path / "a.db", work)


@pytest.mark.parametrize("durable", [True, False])
def test_an_error_undoes_its_block_alone(tmp_path: Path, durable: bool) -> None:
    async def work(database: InlineDatabase) -> None:
        async def add_and_fail(number: int) -> None:
            async with database.writing(durable=durable) as connection:
                await connection.execute(ADD, {"number": number})
                raise LookupError

        twice = [add(database, number, durable=durable) for number in (1, 2, 2, 3)]
        results = await asyncio.gather(*twice, add_and_fail(4), return_exceptions=True)
        errors = [type(result) for result in results if result is not None]
        assert errors == [sa.exc.IntegrityError, LookupError]
        await add(database, 5)

    with_file(tmp_path / "a.db", work)
    assert sorted(numbers_in(tmp_path / "a.db")) == [1, 2, 3, 5]


def test_a_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    async def work(database: InlineDatabase) -> None:
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        adding = asyncio.gather(*(add(database, number) for number in range(3)))
        await asyncio.sleep(0.05)
        assert not adding.done()
        other.execute("COMMIT")
        other.close()
        await adding

    with_file(tmp_path / "a.db", work)
    assert len(numbers_in(tmp_path / "a.db")) == 3


def test_a_full_disk_refuses_and_the_next_block_is_kept(tmp_path: Path) -> None:
    async def work(database: InlineDatabase) -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql("CREATE TABLE blobs (data BLOB)")
        pages = await scalar(database, "PRAGMA page_count")
        async with database.writing() as connection:
            await connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")

        async def add_much() -> None:
            async with database.writing() as connection:
                await connection.exec_driver_sql("INSERT INTO blobs VALUES (zeroblob(100000))")

        results = await asyncio.gather(add_much(), add(database, 1), return_exceptions=True)
        assert isinstance(results[0], sa.exc.OperationalError)
        assert "full" in str(results[0])
        await add(database, 2)

    with_file(tmp_path / "a.db", work)
    assert 2 in numbers_in(tmp_path / "a.db")


async def scalar(database: InlineDatabase, sql: str) -> Any:
    return (await database.reading().exec_driver_sql(sql)).scalar()


def test_a_key_that_another_process_has_revoked_is_refused_soon(tmp_path: Path) -> None:
    async def run() -> None:
        path = str(tmp_path / "uso.db")
        async with open_database(path) as ours, open_database(path, exclusive=False) as theirs:
            keys = KeyStore(ours, fresh_s=0.05)
            key, secret = await keys.create("team")
            assert await keys.find(secret) == key
            await KeyStore(theirs).revoke("team")
            await asyncio.sleep(0.1)
            assert await keys.find(secret) is None

    asyncio.run(run())
