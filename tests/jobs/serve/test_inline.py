"""SQLite in the event loop: errors apart, and the locks of other processes."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.serve.store.database import open_database
from jobs.serve.store.inline import InlineDatabase
from jobs.serve.store.keys import KeyStore
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, NewTask
from pipelines.errors import ConfigError
from tests.jobs.serve.inline_files import ADD, add, numbers_in, with_file


def test_a_link_leads_to_the_same_database(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, path = tmp_path / "uso.db", tmp_path / "far" / "state.db"
    link.symlink_to(path)

    async def run() -> None:
        async with open_database(str(link)) as database:
            await TaskStore(database).add(
                NewTask(key_id="k", dialect="wavespeed", drawing=Drawing())
            )
            with pytest.raises(ConfigError, match="another `uso serve` uses it"):
                async with open_database(str(path)):
                    pass

    asyncio.run(run())


def test_keys_are_made_while_a_server_writes(tmp_path: Path) -> None:
    path = tmp_path / "uso.db"

    async def run() -> None:
        async with open_database(str(path)):
            server = sqlite3.connect(path, isolation_level=None)
            server.execute("BEGIN IMMEDIATE")
            async with open_database(str(path), exclusive=False) as database:
                making = asyncio.create_task(KeyStore(database).create("mia"))
                await asyncio.sleep(0.05)
                server.execute("COMMIT")
                server.close()
                await making

    asyncio.run(run())


def test_the_log_is_moved_into_the_database_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def work(database: InlineDatabase) -> None:
        for number in range(2000):
            await add(database, number, durable=number % 100 == 0)
        assert Path(f"{path}-wal").stat().st_size < 2000 * 4096
        assert path.stat().st_size > 2 * 4096

    with_file(path, work)
    assert len(numbers_in(path)) == 2000


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
