"""The place of a task in the queue."""

from __future__ import annotations

import sqlalchemy as sa

from jobs.serve.store.database import Database
from jobs.serve.store.tables import tasks
from jobs.serve.task import State, Task

_WAITING = (State.RECEIVED, State.QUEUED)


class Queue:
    """Tells the place of a task."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def before(self, task: Task) -> int | None:
        """Return the number of waiting tasks before a task; None if it does not wait.

        These are the older ones of its lane, and for a batch task all interactive ones. A key that
        has as many tasks at work as it may lets younger tasks of others pass.
        """
        if not task.state.waits:
            return None
        before = sa.and_(tasks.c.lane == task.lane, tasks.c.sequence < task.sequence)
        if task.lane == "batch":
            before = sa.or_(before, tasks.c.lane == "interactive")
        query = sa.select(sa.func.count()).where(tasks.c.state.in_(_WAITING), before)
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)
