"""SQLite in the event loop: commits together, errors apart, and the locks of other processes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.serve.store.database import open_database
from jobs.serve.store.engines import inline_engine
from jobs.serve.store.inline import InlineDatabase
from jobs.serve.store.keys import KeyStore

ADD = sa.text("INSERT INTO numbers VALUES (:number)")


def with_file(path: Path, work: Callable[[InlineDatabase], Awaitable[None]]) -> list[str]:
    """Run work on a table of unique numbers, and return the transactions that were ended."""
    ended: list[str] = []

    async def run() -> None:
        engine = inline_engine(path)
        sa.event.listen(engine, "before_cursor_execute", lambda *event: ended.append(event[2]))
        database = InlineDatabase(engine)
        async with database.writing() as connection:
            await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER UNIQUE)")
        ended.clear()
        await work(database)
        await database.close()

    asyncio.run(run())
    return [each for each in ended if each in ("COMMIT", "ROLLBACK")]


async def add(database: InlineDatabase, number: int, *, durable: bool = True) -> None:
    async with database.writing(durable=durable) as connection:
        await connection.execute(ADD, {"number": number})


def numbers_in(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT number FROM numbers")]
    finally:
        connection.close()


def test_blocks_at_once_are_committed_together(tmp_path: Path) -> None:
    async def work(database: InlineDatabase) -> None:
        await asyncio.gather(*(add(database, number) for number in range(50)))
        assert sorted(numbers_in(tmp_path / "a.db")) == list(range(50))

    assert len(with_file(tmp_path / "a.db", work)) <= 2


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
