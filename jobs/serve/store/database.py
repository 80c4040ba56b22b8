"""The database: SQLite in one file, or Postgres. One server at a time owns it."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from filelock import FileLock, Timeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.serve.store.tables import settings
from pipelines.errors import ConfigError
from pipelines.storage.urls import redact_uri
from uso_core.local_path import local_path

_BUSY_S = 30
_LOCK_NUMBER = 0x75736F  # of Postgres' advisory lock: "uso"
_IN_USE = "another `uso serve` uses it; stop that one, or set serve.database to another place"


def now_ms() -> int:
    """Return the current time in milliseconds since the epoch."""
    return time.time_ns() // 10**6


class Database:
    """Connections to the database.

    Attributes:
        engine: SQLAlchemy's engine.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    def reading(self) -> AsyncConnection:
        """Return a connection to read with, as a context manager."""
        return self.engine.connect()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection; commit at the end of the block, or roll back on an error.

        On SQLite the commit is on the disk when the block ends. Begin with a statement that
        writes: a transaction that reads first may find the database changed before it writes.
        """
        async with self.engine.begin() as connection:
            yield connection

    async def secret(self, name: str) -> bytes:
        """Return a random value that is made once and kept."""
        async with self.writing() as connection:
            made = sa.exists().where(settings.c.name == name)
            fresh = sa.select(sa.literal(name), sa.literal(secrets.token_hex(32))).where(~made)
            await connection.execute(settings.insert().from_select(["name", "value"], fresh))
        async with self.reading() as connection:
            value = await connection.scalar(
                sa.select(settings.c.value).where(settings.c.name == name)
            )
        return bytes.fromhex(str(value))


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
        is_file = "://" not in location
        if is_file:
            path = local_path(location).absolute()
            _make_private(path)
            if exclusive:
                _lock_file(stack, path)
            engine = _sqlite_engine(path)
        else:
            url = sa.make_url(location).set(drivername="postgresql+asyncpg")
            engine = create_async_engine(url, pool_pre_ping=True)
        stack.push_async_callback(engine.dispose)
        try:
            if not is_file and exclusive:
                await _lock_postgres(stack, engine)
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise _unusable(location, str(getattr(error, "orig", error))) from error
        yield Database(engine)


def _unusable(location: str, reason: str) -> ConfigError:
    return ConfigError(f"serve.database {redact_uri(location)}: {reason}")


def _make_private(path: Path) -> None:
    """Create the file, readable by its owner alone: it holds the secret of all signatures."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise _unusable(str(path), f"cannot be created ({error.strerror})") from error


def _lock_file(stack: AsyncExitStack, path: Path) -> None:
    lock = FileLock(f"{path}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise _unusable(str(path), _IN_USE) from error
    stack.callback(lock.release)


async def _lock_postgres(stack: AsyncExitStack, engine: AsyncEngine) -> None:
    """Hold an advisory lock by a connection of its own; Postgres frees it with the connection."""
    connection = await stack.enter_async_context(engine.connect())
    connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
    taken = await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK_NUMBER)))
    if not taken:
        raise _unusable(str(engine.url), _IN_USE)


def _sqlite_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)), connect_args={"timeout": _BUSY_S}
    )
    sa.event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: sa.engine.interfaces.DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Sync each commit to the disk: with less, a power cut could lose an accepted task."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "jobs.serve:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
