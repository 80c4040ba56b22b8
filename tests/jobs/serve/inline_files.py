"""A table in an SQLite file, and a disk whose syncs end when a test says so."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.serve.store.engines import inline_engine
from jobs.serve.store.inline import InlineDatabase

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


async def add(database: InlineDatabase, number: int, *, durable: bool = True) -> None:
    async with database.writing(durable=durable) as connection:
        await connection.execute(ADD, {"number": number})


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def numbers_in(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT number FROM numbers")]
    finally:
        connection.close()
