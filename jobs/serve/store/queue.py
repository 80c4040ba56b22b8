"""The line of waiting tasks: read from the database once, and again after an outage."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from jobs.serve.store.database import Database
from jobs.serve.store.line import Line, Place
from jobs.serve.store.tables import tasks
from jobs.serve.task import State, Task

WAITING = (State.RECEIVED, State.QUEUED)
AT_WORK = tuple(state for state in State if not state.ended and not state.waits)

_OPEN = sa.select(tasks.c.sequence, tasks.c.id, tasks.c.key_id, tasks.c.lane, tasks.c.state).where(
    tasks.c.ended_at.is_(None)
)


class Queue:
    """Keeps a line equal to the database, whose only server this is.

    Each method that notes a change comes after its commit.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._line: Line | None = None
        self._missed = False  # True if a change came while the line was read
        self._reading = asyncio.Lock()  # a second read could put an older line in place of a newer

    async def line(self) -> Line:
        """Return the line; change it through the methods of this class."""
        async with self._reading:
            while self._line is None:
                self._missed = False
                line = await self._read()
                if not self._missed:
                    self._line = line
            return self._line

    async def before(self, task: Task) -> int | None:
        """Return the number of waiting tasks before a task; see `Line.before`."""
        return (await self.line()).before(task)

    def wait(self, place: Place) -> None:
        """Note that a task waits."""
        if self._line is None:
            self._missed = True
        else:
            self._line.wait(place)

    def work(self, task_id: str, key_id: str) -> None:
        """Note that a task is at work."""
        if self._line is None:
            self._missed = True
        else:
            self._line.work(task_id, key_id)

    def leave(self, task_id: str) -> None:
        """Note that a task has ended."""
        if self._line is None:
            self._missed = True
        else:
            self._line.leave(task_id)

    def forget(self) -> None:
        """Read the line again before its next use: a change may have been committed, or not."""
        self._line, self._missed = None, True

    async def _read(self) -> Line:
        line = Line()
        async with self._database.reading() as connection:
            rows = (await connection.execute(_OPEN)).all()
        for row in rows:
            if State(row.state).waits:
                line.wait(Place(row.sequence, row.id, row.key_id, row.lane))
            else:
                line.work(row.id, row.key_id)
        return line
