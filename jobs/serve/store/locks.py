"""The ownership of a database: one server at a time has it.

A file is locked until the process ends. Postgres frees an advisory lock when its connection drops,
and the server may live on. So each server also signs the database with a token of its own, and each
transaction checks that the token is still there: after another server has signed, nothing of this
one is committed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from jobs.serve.errors import DatabaseTakenError, DatabaseUnavailableError
from jobs.serve.store.outages import outages_named
from jobs.serve.store.tables import settings

logger = logging.getLogger(__name__)

_LOCK_NUMBER = 0x75736F  # of Postgres' advisory lock: "uso"
_LOOK_S = 1.0
_OWNER = "owner"
_token = sa.select(settings.c.value).where(settings.c.name == _OWNER)


class Ownership(Protocol):
    """The right of one server to a database."""

    @property
    def held(self) -> bool:
        """False before `take`, and while the lock is lost."""

    async def take(self, patience_s: float) -> bool:
        """Take the lock within a time, and return True; False: another process has it."""

    async def sign(self) -> None:
        """Put the token into the database, whose tables are up to date."""

    async def check(self, connection: AsyncConnection) -> None:
        """Raise `DatabaseTakenError` in a transaction if another server has signed."""

    async def keep(self) -> None:
        """Watch the lock, and take it again if it is lost, until this coroutine is cancelled."""

    async def release(self) -> None:
        """Let go of the lock, if it is held."""


class FileOwnership:
    """A lock of the operating system on a file beside the database; see `Ownership`."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(f"{path}.lock")

    @property
    def held(self) -> bool:
        """See `Ownership`."""
        return self._lock.is_locked

    async def take(self, patience_s: float) -> bool:
        """See `Ownership`."""
        try:
            self._lock.acquire(timeout=patience_s, poll_interval=0.02)
        except Timeout:
            return False
        return True

    async def sign(self) -> None:
        """Do nothing: the lock ends with the process."""

    async def check(self, connection: AsyncConnection) -> None:
        """Do nothing, for the same reason."""

    async def keep(self) -> None:
        """Wait."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """See `Ownership`."""
        self._lock.release()


class PostgresOwnership:
    """An advisory lock, which a connection of its own holds; see `Ownership`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._token = secrets.token_hex(16)
        self._connection: AsyncConnection | None = None

    @property
    def held(self) -> bool:
        """See `Ownership`."""
        return self._connection is not None

    async def take(self, patience_s: float) -> bool:
        """See `Ownership`."""
        give_up_at = time.monotonic() + patience_s
        connection = await self._engine.connect()
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        attempt = sa.select(sa.func.pg_try_advisory_lock(_LOCK_NUMBER))
        while not await connection.scalar(attempt):
            if time.monotonic() >= give_up_at:
                await connection.close()
                return False
            await asyncio.sleep(0.05)
        self._connection = connection
        return True

    async def sign(self) -> None:
        """See `Ownership`; it waits for the transactions of the earlier server that are under way.

        `check` holds a lock on the row of the token until its transaction ends.
        """
        async with self._engine.begin() as connection:
            await connection.execute(settings.delete().where(settings.c.name == _OWNER))
            row = {"name": _OWNER, "value": self._token}
            await connection.execute(settings.insert().values(row))

    async def check(self, connection: AsyncConnection) -> None:
        """See `Ownership`."""
        if await connection.scalar(_token.with_for_update(read=True)) != self._token:
            raise DatabaseTakenError

    async def keep(self) -> None:
        """See `Ownership`.

        Raises:
            DatabaseTakenError: another server has signed.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                with outages_named():
                    await self._look()
            except DatabaseUnavailableError as error:
                if self.held:
                    logger.warning("database_lock_lost error=%s", error)
                    await self._drop()

    async def release(self) -> None:
        """See `Ownership`; Postgres frees the lock with the connection."""
        await self._drop()

    async def _look(self) -> None:
        if self._connection is not None:
            await self._connection.scalar(sa.select(1))
        elif await self.take(0):
            logger.warning("database_lock_taken_again")
        async with self._engine.connect() as connection:
            if await connection.scalar(_token) != self._token:
                raise DatabaseTakenError

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            with outages_named():
                await connection.invalidate()  # a pooled one would keep the lock
                await connection.close()
        except DatabaseUnavailableError:
            logger.debug("the connection of the lock was lost before it was closed")
