"""SQLite in the event loop: statements and commits run at once, syncs of the disk in threads.

SQLite takes 10 to 50 µs for a statement that finds its rows by an index, and for a commit that does
not sync; the way into another thread and back takes longer. A sync takes milliseconds. So each
transaction is committed without a sync, and a durable one then waits for a sync of the log that
began after its commit. Transactions that wait at the same time share one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.serve.store.log_sync import LogSync

logger = logging.getLogger(__name__)

_BUSY_S = 30.0
_LOOK_S = 0.005
_CHECKPOINT_EVERY = 250
"""Transactions. They write 2 to 5 pages each, and the log should stay in the order of 4 MB."""

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class InlineConnection:
    """A connection whose statements run in the thread of the caller.

    It has the part of SQLAlchemy's `AsyncConnection` that the stores use.

    Attributes:
        driver: the same connection, without SQLAlchemy.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self.driver = driver

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect of SQL."""
        return self._connection.dialect

    async def execute(
        self, statement: sa.Executable, parameters: Parameters = None, /
    ) -> sa.CursorResult[Any]:
        """Execute a statement; read all rows before anything else is awaited."""
        return self._connection.execute(statement, parameters)

    async def scalar(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None, /
    ) -> Any:  # noqa: ANN401 (a value of any column)
        """Execute a statement, and return the first value of its first row."""
        return self._connection.scalar(statement, parameters)

    async def exec_driver_sql(self, statement: str, /) -> sa.CursorResult[Any]:
        """Execute SQL as it is."""
        return self._connection.exec_driver_sql(statement)


Connection: TypeAlias = AsyncConnection | InlineConnection


class InlineDatabase:
    """Connections to a file, to read and to write; use it in one event loop."""

    def __init__(self, engine: sa.Engine) -> None:
        """Connect.

        Args:
            engine: its connections work in any thread, sync each commit to the disk, and do not
                wait for a lock.
        """
        self._reader = _Session(engine)
        self._writer = _Session(engine)
        self._writer.sql("PRAGMA synchronous=NORMAL")
        self._writer.sql("PRAGMA wal_autocheckpoint=0")  # it syncs, and so belongs into a thread
        self._checkpointer = _Session(engine)
        # Makes the log, if there is none. A process that was killed may have written rows that
        # no sync has put on the disk.
        self._move()
        self._log = LogSync(f"{engine.url.database}-wal")
        self._turn = asyncio.Lock()
        self._transactions = 0
        self._checkpoint: asyncio.Task[None] | None = None

    def reading(self) -> InlineConnection:
        """Return a connection for statements that find few rows, by an index.

        Raises:
            OSError: a sync has failed.
        """
        self._log.check()
        return self._reader.inline

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[InlineConnection]:
        """Yield a connection; the block has been committed when it ends.

        Others see the commit before it is on the disk. An error inside the block undoes the block.

        Args:
            durable: True: its rows are on the disk, too, and all rows that it has read. False: the
                death of the process cannot lose them, and a power cut can, unless a durable block
                has ended since.

        Raises:
            sqlite3.Error: the commit failed, and nothing of the block is kept.
            OSError: the sync failed. The commit stands, and a power cut may lose it. No later block
                succeeds: see `fault`.
        """
        async with self._turn:
            await self._writer.begin()
            before = self._writer.num_changes
            with self._writer.undone_on_error():
                yield self._writer.inline
                self._writer.sql("COMMIT")
            has_changes = self._writer.num_changes > before
        self._transactions += 1
        if self._transactions % _CHECKPOINT_EVERY == 0 and self._checkpoint is None:
            self._checkpoint = asyncio.create_task(self._move_log())
        if durable:
            await (self._log.synced() if has_changes else self._log.settled())

    async def settled(self) -> None:
        """Wait until the durable blocks that have been committed are on the disk.

        Raises:
            OSError: the sync failed.
        """
        await self._log.settled()

    async def fault(self) -> OSError:
        """Wait until the disk fails, and return the error; no block of this process succeeds then.

        In the next process, SQLite checks the log as it reads it, and moves it before its next use.
        """
        return await self._log.fault()

    async def close(self) -> None:
        """Close the connections, after the syncs that are under way."""
        if self._checkpoint is not None:
            await self._checkpoint
        await self._log.close()
        for session in (self._writer, self._checkpointer, self._reader):
            session.close()

    async def _move_log(self) -> None:
        """Move the log into the database, so that the next transaction begins it anew.

        It is a race against writers: the second, short move has them wait.
        """
        try:
            await self._log.run(self._move)
            async with self._turn:
                await self._log.run(self._move)
        except sqlite3.Error as error:  # e.g. the disk is full; the log has it all
            logger.warning("checkpoint_failed error=%s", error)
            if "I/O" in str(error):
                self._log.fail(OSError(errno.EIO, str(error)))
        finally:
            self._checkpoint = None

    def _move(self) -> None:
        self._checkpointer.sql("PRAGMA wal_checkpoint(PASSIVE)")


class _Session:
    """A connection whose transactions are begun and ended by SQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.inline = InlineConnection(self._connection)
        self._driver = self.inline.driver

    @property
    def in_transaction(self) -> bool:
        """True between `begin` and the end of its transaction."""
        return self._driver.in_transaction

    @property
    def num_changes(self) -> int:
        """Number of rows that were added, changed or deleted."""
        return self._driver.total_changes

    def sql(self, text: str) -> None:
        """Execute a statement without rows."""
        self._driver.execute(text)

    async def begin(self) -> None:
        """Begin a transaction, once no other process writes, e.g. `uso keys`."""
        give_up_at = time.monotonic() + _BUSY_S
        while True:
            try:
                self.sql("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up_at:
                    raise
            else:
                return
            await asyncio.sleep(_LOOK_S)

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Undo what the block has done if it raises; SQLite may have done so itself."""
        try:
            yield
        except BaseException:
            if self.in_transaction:
                self.sql("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
