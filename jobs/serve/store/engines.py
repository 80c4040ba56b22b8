"""The two kinds of database, as engines of SQLAlchemy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.serve.errors import DatabaseUnavailableError
from pipelines.config.variables import resolve_variables, variables_in
from pipelines.errors import ConfigError
from uso_core.local_path import local_path

_BUSY_S = 30
_CONNECT_S = 5.0
_STATEMENT_S = 10.0
_CONNECTIONS = 10
_KEY = "serve.database"


def sqlite_file(location: str) -> Path:
    """Return the path of a database, and create its file, readable by its owner alone.

    It holds the secret of all signatures. SQLite gives its other files the same mode.

    Raises:
        ConfigError: it cannot be created.
    """
    path = local_path(location).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path = path.resolve()  # SQLite puts its other files beside the file that a link leads to
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{_KEY} {path}: cannot be created ({error.strerror})") from error
    return path


def sync_folder(folder: Path) -> None:
    """Write the name of a new file to the disk; SQLite syncs the folder for its log alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sqlite_engine(path: Path) -> AsyncEngine:
    """Return an engine for a file."""
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)), connect_args={"timeout": _BUSY_S}
    )
    sa.event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def inline_engine(path: Path) -> sa.Engine:
    """Return an engine for the connections of `InlineDatabase`: they never wait for a lock."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": 0, "check_same_thread": False},
        poolclass=sa.NullPool,
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: sa.engine.interfaces.DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Sync each commit to the disk: with less, a power cut could lose an accepted task."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def postgres_engine(location: str, statement_s: float | None = _STATEMENT_S) -> AsyncEngine:
    """Return an engine for a URL of Postgres, whose `${NAME}` are environment variables.

    asyncpg reads the URL itself, so that it may have all parts that libpq knows, e.g. `sslmode`.

    Args:
        location: the URL.
        statement_s: longest wait for an answer, so that a request is refused in place of waiting
            on; None: as long as it takes.

    Raises:
        ConfigError: the URL is of another database, a variable is not set, or asyncpg is missing.
    """
    scheme, separator, rest = location.partition("://")
    if scheme not in ("postgresql", "postgres"):
        raise ConfigError(f"{_KEY}: {scheme}: give the path of a file, or a URL postgresql://…")
    try:
        import asyncpg  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        message = "Postgres needs the extra `postgres`: pip install 'uso-batch[postgres]'"
        raise ConfigError(f"{_KEY}: {message}") from error
    dsn = scheme + separator + _with_variables(rest)

    async def connect() -> Any:  # noqa: ANN401 (asyncpg has no types)
        try:
            return await asyncpg.connect(dsn, timeout=_CONNECT_S, command_timeout=statement_s)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise DatabaseUnavailableError(str(error)) from error

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_pre_ping=True,
        pool_size=_CONNECTIONS,
        pool_timeout=_STATEMENT_S,
    )


def _with_variables(text: str) -> str:
    """Put the values of variables in, escaped: a password may have any letters."""
    try:
        resolve_variables(text, _KEY)  # a malformed one is an error
        for name in variables_in(text):
            variable = f"${{{name}}}"
            text = text.replace(variable, quote(resolve_variables(variable, _KEY), safe=""))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return text
