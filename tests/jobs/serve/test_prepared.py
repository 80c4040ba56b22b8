"""Statements that are given to SQLite without SQLAlchemy find and refuse the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.store import task_rows
from jobs.serve.store.database import open_database
from jobs.serve.store.tables import events, tasks
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, NewTask, Output, Reference

GIVEN = {"prompt": "ein Bär 🐻", "weights": [1, 0.5, None], "deep": {"a": []}}


def new(**given: Any) -> NewTask:
    drawing = Drawing(prompt="a cat", styles=[Reference(uri="https://h/a.png")])
    return NewTask(key_id="k", dialect="openai", drawing=drawing, given=given)


def test_rows_are_those_that_sqlalchemy_finds(location: str) -> None:
    async def work() -> None:
        async with open_database(location) as database:
            store = TaskStore(database)
            ids = [(await store.add(new(**GIVEN))).id, (await store.add(new())).id]
            (task, _) = await store.claim("interactive", 2)
            output = Output(file_id="f", filename="ü.png", content_type="image/png", size=3)
            file: dict[str, Any] = {"id": "f", "key_id": "k", "role": "output", "task_id": task.id}
            file |= {"filename": "ü.png", "content_type": "image/png", "path": "a/b.png"}
            file |= {"size": 3, "sha256": "00", "created_at": 1, "expires_at": 2}
            assert await store.complete(task, ([output], [file]), 7)
            async with database.reading() as connection:
                rows = (await connection.execute(sa.select(tasks).order_by(tasks.c.sequence))).all()
                ended = sa.select(events.c.at).where(events.c.task_id == task.id)
                times = (await connection.execute(ended.order_by(events.c.number))).scalars().all()
            assert [task_rows.task_of(row) for row in rows] == [await store.get(id_) for id_ in ids]
            assert rows[0].given == GIVEN
            assert rows[0].outputs[0]["filename"] == "ü.png"
            assert [at for _, at in await store.events_of(task.id)] == times

    asyncio.run(work())


def test_a_full_disk_counts_as_an_outage(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            task = await store.add(new())
            async with database.writing() as connection:
                pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
                await connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")
            with pytest.raises(DatabaseUnavailableError, match="full"):
                await store.add(new(prompt="x" * 100_000))
            assert await store.get(task.id) == task
            assert await store.count_waiting() == 1

    asyncio.run(work())
