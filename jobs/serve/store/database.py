"""The database: SQLite in one file, or Postgres. One server at a time owns it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from jobs.serve.errors import DatabaseDiskError, DatabaseUnavailableError
from jobs.serve.store import schema
from jobs.serve.store.engines import inline_engine, postgres_engine, sqlite_engine, sqlite_file
from jobs.serve.store.inline import Connection, InlineDatabase
from jobs.serve.store.locks import FileOwnership, Ownership, PostgresOwnership
from jobs.serve.store.outages import outages_named
from jobs.serve.store.tables import settings
from pipelines.errors import ConfigError
from pipelines.storage.urls import redact_uri

_PATIENCE_S = 1.0  # a server that was killed may still be about to let go of its lock
_OTHER_VERSION_S = 10.0
_IN_USE = "another `uso serve` uses it; stop that one, or set serve.database to another place"
_OTHER_VERSION = (
    "the server that uses it is of another version; run `uso keys` of that version, or restart "
    "the server with this one"
)


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return time.time_ns() // 10**6


class Database:
    """Connections to the database.

    Args:
        engine: SQLAlchemy's engine.
        ownership: that of the server; None for `uso keys`.
        inline: connections to a file for everything that is not slow; None for Postgres.
    """

    def __init__(
        self, engine: AsyncEngine, ownership: Ownership | None, inline: InlineDatabase | None
    ) -> None:
        self._engine = engine
        self._ownership = ownership
        self._inline = inline

    @property
    def owned(self) -> bool:
        """False while the lock of the server is lost; it claims no task then."""
        return self._ownership is not None and self._ownership.held

    async def keep(self) -> None:
        """Take the lock again whenever it is lost, until this coroutine is cancelled.

        Raises:
            DatabaseTakenError: another server has taken the database over.
            DatabaseDiskError: the disk of SQLite has failed.
        """
        assert self._ownership is not None
        if self._inline is not None:
            raise DatabaseDiskError(str(await self._inline.fault()))
        await self._ownership.keep()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection to read with.

        All rows that it finds are on the disk when the block ends: no power cut takes them back.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        with outages_named():
            async with self._engine.connect() as connection:
                yield connection
            await self.settled()

    async def settled(self) -> None:
        """Wait until all changes that may be read by now are on the disk.

        Raises:
            DatabaseUnavailableError: the disk has failed.
        """
        if self._inline is not None:
            with outages_named():
                await self._inline.settled()

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[Connection]:
        """Yield a connection for statements that find a few rows by an index.

        Read the rows of a statement before anything else is awaited. A change by `writing` that is
        under way may show before it is on the disk; see `settled`.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        if self._inline is None:
            async with self.reading() as connection:
                yield connection
        else:
            with outages_named():
                yield self._inline.reading()

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[Connection]:
        """Yield a connection; commit at the end of the block, or roll back on an error.

        The commit is on the disk when the block ends. Await nothing but statements in the block,
        and read the rows of each before the next.

        Args:
            durable: False for a change that a power cut may lose. That saves the sync of SQLite.

        Raises:
            DatabaseUnavailableError: it does not answer. A commit under way may have been made.
            DatabaseTakenError: another server has taken the database over; nothing was written.
        """
        with outages_named():
            if self._inline is not None:
                async with self._inline.writing(durable=durable) as inline:
                    yield inline
                return
            async with self._engine.begin() as connection:
                if self._ownership is not None:
                    await self._ownership.check(connection)
                yield connection

    async def secret(self, name: str) -> bytes:
        """Return a random value that is made once and kept."""
        async with self.writing() as connection:
            fresh = {"name": name, "value": secrets.token_hex(32)}
            await insert_if_new(connection, settings, fresh)
        async with self.reading() as connection:
            value = await connection.scalar(
                sa.select(settings.c.value).where(settings.c.name == name)
            )
        return bytes.fromhex(str(value))


async def insert_if_new(connection: Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row unless there is one with its key, also if another transaction inserts it now."""
    if connection.dialect.name == "sqlite":
        await connection.execute(sqlite.insert(table).values(row).on_conflict_do_nothing())
        return
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (the server listens before)

    await connection.execute(postgresql.insert(table).values(row).on_conflict_do_nothing())


@asynccontextmanager
async def open_database(location: str, *, exclusive: bool = True) -> AsyncIterator[Database]:
    """Open a database, create it if it is new, and bring its tables up to date.

    Args:
        location: the path of an SQLite file, or a URL of Postgres.
        exclusive: True for a server, which must be the only one; False for `uso keys`.

    Raises:
        ConfigError: it cannot be opened, or another server uses it.
    """
    async with AsyncExitStack() as stack:
        ownership: Ownership
        inline: InlineDatabase | None = None
        try:
            path = None if "://" in location else sqlite_file(location)
            if path is None:
                engine = postgres_engine(location)
                ownership = PostgresOwnership(engine)
                changing = postgres_engine(location, None)  # a change of large tables takes long
                stack.push_async_callback(changing.dispose)
            else:
                engine, ownership = sqlite_engine(path), FileOwnership(path)
                changing = engine
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(ownership.release)
            with outages_named():
                await (_own if exclusive else _share)(changing, ownership)
                if path is not None:
                    inline = InlineDatabase(inline_engine(path))
                    stack.push_async_callback(inline.close)
        except (DatabaseUnavailableError, schema.SchemaError, sa.exc.SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", error))
            raise ConfigError(f"serve.database {redact_uri(location)}: {reason}") from error
        yield Database(engine, ownership if exclusive else None, inline)


async def _own(engine: AsyncEngine, ownership: Ownership) -> None:
    if not await ownership.take(_PATIENCE_S):
        raise schema.SchemaError(_IN_USE)
    await schema.upgrade(engine)
    await ownership.sign()


async def _share(engine: AsyncEngine, ownership: Ownership) -> None:
    """Wait until the tables are up to date; bring them there if no server uses the database."""
    give_up_at = time.monotonic() + _OTHER_VERSION_S
    while not await schema.is_current(engine):
        if await ownership.take(0):
            await schema.upgrade(engine)
            await ownership.release()
        elif time.monotonic() > give_up_at:
            raise schema.SchemaError(_OTHER_VERSION)
        else:
            await asyncio.sleep(0.1)
