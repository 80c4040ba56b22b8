"""Syncs of SQLite's log: shared, awaited by all who read, and final when they fail."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs.serve.errors import DatabaseDiskError, DatabaseUnavailableError
from jobs.serve.store.database import open_database
from jobs.serve.store.engines import inline_engine
from jobs.serve.store.history import History
from jobs.serve.store.inline import InlineDatabase
from jobs.serve.store.replays import Replay
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, NewTask, State
from tests.jobs.serve.inline_files import Disk, add, numbers_in, until, with_file


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


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
        assert [str(each) for each in results] == [str(disk.error)] * 2
        assert str(await database.fault()) == str(disk.error)
        disk.error = None  # the kernel has dropped the data, and reports it once
        for later in (add(database, 2), database.settled()):
            with pytest.raises(OSError, match="Input/output"):
                await later
        with pytest.raises(OSError, match="Input/output"):
            database.reading()

    disk.go.set()
    with_file(tmp_path / "a.db", work)


def test_a_failed_disk_ends_the_server(tmp_path: Path, disk: Disk) -> None:
    async def run() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            keeping = asyncio.create_task(database.keep())
            disk.error = OSError(errno.EIO, "Input/output error")
            with pytest.raises(DatabaseUnavailableError):
                await store.add(NewTask(key_id="k", dialect="wavespeed", drawing=Drawing()))
            with pytest.raises(DatabaseDiskError, match="Check the disk"):
                await keeping

    disk.go.set()
    asyncio.run(run())


def test_each_sync_under_way_hears_of_the_fault_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports a fault once to each open file, so that syncs must not share one."""
    at_once, go = [], threading.Event()

    def sync(file: int) -> None:
        at_once.append(file)
        go.wait(30)

    async def work(database: InlineDatabase) -> None:
        monkeypatch.setattr(os, "fdatasync", sync)
        adding = [asyncio.create_task(add(database, 1))]
        await until(lambda: len(at_once) == 1)
        adding.append(asyncio.create_task(add(database, 2)))
        await until(lambda: len(at_once) == 2)
        go.set()
        await asyncio.gather(*adding)
        assert len(set(at_once)) == 2

    with_file(tmp_path / "a.db", work)


def test_a_block_that_is_given_up_still_ends_after_its_sync(tmp_path: Path, disk: Disk) -> None:
    async def work(database: InlineDatabase) -> None:
        before = disk.begun
        disk.go.clear()
        adding = asyncio.create_task(add(database, 1))
        await until(lambda: disk.begun > before)
        adding.cancel()
        await asyncio.sleep(0.01)
        assert not adding.done()
        disk.go.set()
        with pytest.raises(asyncio.CancelledError):
            await adding

    disk.go.set()
    with_file(tmp_path / "a.db", work)


def test_what_a_killed_process_wrote_is_on_the_disk_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    kill = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
    kill += "c.execute('PRAGMA journal_mode=WAL'); c.execute('PRAGMA synchronous=OFF'); "
    kill += "c.execute('CREATE TABLE numbers (number)'); os._exit(0)"
    subprocess.run([sys.executable, "-c", kill, str(path)], check=True)
    assert path.stat().st_size <= 4096

    async def run() -> None:
        database = InlineDatabase(inline_engine(path))
        assert path.stat().st_size > 4096  # the log was synced, and moved
        await database.close()

    asyncio.run(run())


def test_nobody_hears_of_an_end_before_it_is_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    async def run() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            task = await store.add(NewTask(key_id="k", dialect="wavespeed", drawing=Drawing()))
            disk.go.clear()
            before = disk.begun
            ending = asyncio.create_task(store.cancel(task.id))
            await until(lambda: disk.begun > before)
            again = asyncio.create_task(store.cancel(task.id))  # it finds the end of the first one
            one = asyncio.create_task(store.get(task.id))
            some = asyncio.create_task(History(database).page("k", 10))
            await asyncio.sleep(0.05)
            assert not one.done()
            assert not some.done()
            assert not again.done()
            disk.go.set()
            assert await ending
            assert not await again
            seen, (page, _) = await asyncio.gather(one, some)
            assert seen is not None
            assert seen.state is page[0].state is State.CANCELLED

    disk.go.set()
    asyncio.run(run())


def test_a_request_that_is_sent_again_waits_for_the_sync_of_the_first(
    tmp_path: Path, disk: Disk
) -> None:
    async def run() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store, replay = TaskStore(database), Replay("a", "b")
            new = NewTask(key_id="k", dialect="wavespeed", drawing=Drawing())
            disk.go.clear()
            before = disk.begun
            first = asyncio.create_task(store.add(new, replay))
            await until(lambda: disk.begun > before)
            again = [
                asyncio.create_task(store.add(new, replay)),
                asyncio.create_task(store.find_earlier("k", replay)),
            ]
            await asyncio.sleep(0.05)
            assert not any(each.done() for each in again)
            disk.go.set()
            ids = {task.id for task in await asyncio.gather(first, *again) if task is not None}
            assert len(ids) == 1

    disk.go.set()
    asyncio.run(run())
