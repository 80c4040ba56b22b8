"""SQLite in the event loop: statements run at once, and commits, which sync the disk, in a thread.

SQLite takes 10 to 50 µs for a statement that finds its rows by an index; the way into another
thread and back takes longer. A commit takes milliseconds. Transactions whose blocks end while one
is under way are committed together by the next.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_BUSY_S = 30.0
_LOOK_S = 0.005

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class InlineConnection:
    """A connection whose statements run in the thread of the caller.

    It has the part of SQLAlchemy's `AsyncConnection` that the stores use.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

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
    """Three connections to a file, one to read and two to write; use it in one event loop."""

    def __init__(self, engine: sa.Engine) -> None:
        """Connect.

        Args:
            engine: its connections work in any thread, sync each commit to the disk, and do not
                wait for a lock.
        """
        self._reader = _Session(engine)
        self._writer = _Session(engine)
        self._quick = _Session(engine)
        self._quick.sql("PRAGMA synchronous=NORMAL")
        self._quick.sql("PRAGMA wal_autocheckpoint=0")  # it syncs, and so belongs into the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._turn = asyncio.Lock()
        self._ended: list[asyncio.Future[None]] = []  # blocks that wait for the commit
        self._committing: asyncio.Task[None] | None = None

    def reading(self) -> InlineConnection:
        """Return a connection for statements that find few rows, by an index."""
        return self._reader.inline

    @asynccontextmanager
    async def writing(self, *, durable: bool = True) -> AsyncIterator[InlineConnection]:
        """Yield a connection; the block has been committed when it ends.

        An error inside the block undoes the block alone.

        Args:
            durable: True: it is on the disk, too. False: the death of the process cannot lose it,
                and a power cut can, unless a durable block has ended since.

        Raises:
            sqlalchemy.exc.DBAPIError: the commit failed, and nothing of the block is kept.
        """
        async with self._turn:
            if not durable and not self._writer.in_transaction:
                await self._quick.begin()
                with self._quick.undone_on_error():
                    yield self._quick.inline
                    self._quick.sql("COMMIT")
                return
            if not self._writer.in_transaction:
                await self._writer.begin()
            try:
                with self._writer.undone_on_error(alone=not self._ended):
                    yield self._writer.inline
            except BaseException as error:
                if self._ended and not self._writer.in_transaction:
                    self._settle(error)  # SQLite has undone all of it, e.g. as the disk is full
                raise
            committed = asyncio.get_running_loop().create_future()
            self._ended.append(committed)
            if self._committing is None:
                self._committing = asyncio.create_task(self._commit())
        await committed

    async def close(self) -> None:
        """Close the connections, after the commit that is under way."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()
        for session in (self._quick, self._writer, self._reader):
            session.close()

    async def _commit(self) -> None:
        async with self._turn:
            self._committing = None
            error: BaseException | None = None
            if self._ended:
                try:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._thread, self._writer.sql, "COMMIT")
                except sa.exc.DBAPIError as failed:
                    error = failed
                    if self._writer.in_transaction:
                        self._writer.sql("ROLLBACK")
            self._settle(error)

    def _settle(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, []
        for committed in ended:
            if committed.cancelled():
                continue
            if error is None:
                committed.set_result(None)
            else:
                committed.set_exception(error)


class _Session:
    """A connection whose transactions are begun and ended by SQL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.inline = InlineConnection(self._connection)

    @property
    def in_transaction(self) -> bool:
        """True between `begin` and the end of its transaction."""
        connection = self._connection.connection.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection.in_transaction

    def sql(self, text: str) -> None:
        """Execute a statement without rows."""
        self._connection.exec_driver_sql(text)

    async def begin(self) -> None:
        """Begin a transaction, once no other process writes, e.g. `uso keys`."""
        give_up_at = time.monotonic() + _BUSY_S
        while True:
            try:
                self.sql("BEGIN IMMEDIATE")
            except sa.exc.OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > give_up_at:
                    raise
            else:
                return
            await asyncio.sleep(_LOOK_S)

    @contextmanager
    def undone_on_error(self, *, alone: bool = True) -> Iterator[None]:
        """Undo what the block has done if it raises.

        Args:
            alone: True if nothing else is in the transaction, which then ends with the error.
        """
        if not alone:
            self.sql("SAVEPOINT block")
        try:
            yield
        except BaseException:
            if self.in_transaction:
                self.sql("ROLLBACK" if alone else "ROLLBACK TO block")
            raise
        finally:
            if not alone and self.in_transaction:
                self.sql("RELEASE block")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
