"""Errors that mean that the database does not answer, of all drivers and SQLAlchemy, as one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from jobs.serve.errors import DatabaseUnavailableError

_STATES = ("08", "40", "53", "57", "58", "25006")
"""Beginnings of Postgres' SQLSTATE: connections, conflicts of transactions, resources, operators,
the system, and a standby that only reads."""


@contextmanager
def outages_named() -> Iterator[None]:
    """Raise `DatabaseUnavailableError` for an outage; other errors pass.

    asyncpg raises plain `OSError` and `TimeoutError` for some of them, and SQLAlchemy lets these
    through. Statements that are given to SQLite without it raise SQLite's own errors.
    """
    try:
        yield
    except (
        OSError,
        asyncio.TimeoutError,
        sa.exc.TimeoutError,
        sqlite3.OperationalError,  # locked, full, unreadable
        sqlite3.InterfaceError,
    ) as error:
        raise DatabaseUnavailableError(_in_words(error)) from error
    except sa.exc.DBAPIError as error:
        if not _is_outage(error):
            raise
        raise DatabaseUnavailableError(_in_words(error.orig or error)) from error


def _is_outage(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or isinstance(error, sa.exc.InterfaceError):
        return True
    if isinstance(state, str):
        return state.startswith(_STATES)
    return isinstance(error, sa.exc.OperationalError)  # SQLite: locked, full, unreadable


def _in_words(error: BaseException) -> str:
    return str(error).partition("\n")[0] or "no answer in time"
