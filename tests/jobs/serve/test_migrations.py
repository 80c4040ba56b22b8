"""The tables: made and changed by scripts that keep the rows, all or nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.serve.store.database import open_database
from jobs.serve.store.engines import postgres_engine, sqlite_engine, sqlite_file
from jobs.serve.store.keys import KeyStore
from jobs.serve.store.schema import NEWEST, run_migrations
from jobs.serve.store.tables import metadata
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import Drawing, State, new_id
from pipelines.errors import ConfigError

# Rows as version 0001 wrote them; the models may have changed since.
OLD_ROWS = (
    "INSERT INTO settings VALUES ('links', 'ab')",
    "INSERT INTO keys (id, name, prefix, sha256, limits, created_at) "
    "VALUES ('k', 'team', 'uso_abcdef', 'x', '{}', 1)",
    "INSERT INTO tasks (id, key_id, dialect, lane, state, drawing, given, extras, created_at, "
    "updated_at, outputs) VALUES ('t', 'k', 'wavespeed', 'interactive', 2, "
    """'{"prompt": "a cat", "content": null, "styles": [], "parameters": {"seed": 7}, """
    """"style_weights": null}', '{}', '{}', 1, 1, '[]')""",
)


@asynccontextmanager
async def connected(location: str) -> AsyncIterator[AsyncConnection]:
    is_file = "://" not in location
    engine = sqlite_engine(sqlite_file(location)) if is_file else postgres_engine(location)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def on(location: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connected(location) as connection:
            await work(connection)

    asyncio.run(run())


def opened(location: str, *, exclusive: bool = True) -> None:
    async def run() -> None:
        async with open_database(location, exclusive=exclusive):
            pass

    asyncio.run(run())


async def make_old(connection: AsyncConnection) -> None:
    await connection.run_sync(run_migrations, "0001")
    for statement in OLD_ROWS:
        await connection.execute(sa.text(statement.replace(":", r"\:")))


@pytest.mark.parametrize("exclusive", [True, False], ids=["by a server", "by uso keys"])
def test_an_old_database_is_brought_up_to_date(location: str, exclusive: bool) -> None:
    on(location, make_old)
    opened(location, exclusive=exclusive)

    async def check(connection: AsyncConnection) -> None:
        version = await connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        assert version == NEWEST

    on(location, check)


def test_old_rows_are_kept(location: str) -> None:
    on(location, make_old)

    async def run() -> None:
        async with open_database(location) as database:
            (key,) = await KeyStore(database).all()
            assert (key.name, key.limits.queued) == ("team", None)
            assert await database.secret("links") == b"\xab"
            (task,) = await TaskStore(database).claim("interactive", 5)
            assert (task.id, task.state) == ("t", State.DISPATCHED)
            assert task.drawing == Drawing(prompt="a cat", parameters={"seed": 7})

    asyncio.run(run())


@pytest.mark.parametrize("start", [None, "0001"], ids=["new", "old"])
def test_the_scripts_make_the_tables_of_the_models(location: str, start: str | None) -> None:
    if start is not None:
        on(location, make_old)
    opened(location)

    def differences(connection: sa.Connection) -> list[object]:
        # SQLite tells defaults as text, and alembic takes '0' and 0 for different.
        options = {"compare_server_default": connection.dialect.name == "postgresql"}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **options})
        return list(compare_metadata(context, metadata))

    async def check(connection: AsyncConnection) -> None:
        assert await connection.run_sync(differences) == []

    on(location, check)


def test_a_step_of_a_task_changes_no_index() -> None:
    """Each index that changes is a page in the commit."""
    changing = {"state", "progress", "updated_at", "started_at", "attempts"}
    table = metadata.tables["tasks"]
    assert not {column.name for index in table.indexes for column in index.columns} & changing


def test_tasks_that_have_not_ended_are_found_by_an_index(tmp_path: Path) -> None:
    path, asked = tmp_path / "uso.db", []

    def note(_: object, __: object, text: str, values: tuple[object, ...], *___: object) -> None:
        if "FROM tasks" in text:
            asked.append((text, values))

    async def run() -> None:
        async with open_database(str(path)) as database:
            sa.event.listen(sa.Engine, "before_cursor_execute", note)
            try:
                await TaskStore(database).at_work()
                await TaskStore(database).count_waiting()
            finally:
                sa.event.remove(sa.Engine, "before_cursor_execute", note)

    asyncio.run(run())
    assert len(asked) == 2
    with closing(sqlite3.connect(path)) as connection:
        for text, values in asked:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
            assert "USING INDEX ix_tasks_ended_at" in plan[0][-1]


def test_the_newest_script_is_the_version_that_is_looked_for() -> None:
    config = Config()
    config.set_main_option("script_location", "jobs.serve:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [NEWEST]


@pytest.mark.parametrize("exclusive", [True, False], ids=["by a server", "by uso keys"])
def test_a_database_of_newer_software_is_refused(location: str, exclusive: bool) -> None:
    opened(location)

    async def make_newer(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9000'"))

    on(location, make_newer)
    wanted = r"newer version of uso-batch .*version 9000.*update uso-batch"
    with pytest.raises(ConfigError, match=wanted):
        opened(location, exclusive=exclusive)


def test_an_interrupted_change_leaves_the_old_tables(location: str) -> None:
    async def interrupted(connection: AsyncConnection) -> None:
        await make_old(connection)
        raise KeyError("a kill")

    with pytest.raises(KeyError):
        on(location, interrupted)

    async def check(connection: AsyncConnection) -> None:
        names = await connection.run_sync(lambda each: sa.inspect(each).get_table_names())
        assert names == []

    on(location, check)
    opened(location)


def test_a_server_and_uso_keys_may_make_the_tables_at_once(location: str) -> None:
    async def use(exclusive: bool) -> None:
        async with open_database(location, exclusive=exclusive) as database:
            await KeyStore(database).create(new_id())

    async def run() -> None:
        await asyncio.gather(use(True), use(False), use(False))
        async with open_database(location) as database:
            assert len(await KeyStore(database).all()) == 3

    asyncio.run(run())
