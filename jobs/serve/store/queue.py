"""The place of a task in the queue."""

from __future__ import annotations

import sqlalchemy as sa

from jobs.serve.store.database import Database
from jobs.serve.store.order import WAITING, waiting_in_order
from jobs.serve.store.tables import tasks
from jobs.serve.task import Task


class Queue:
    """Tells the place of a task."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def before(self, task: Task) -> int | None:
        """Return the number of waiting tasks before a task; None if it does not wait.

        They are those of its lane that are claimed first if no task comes or ends meanwhile, and
        for a batch task all interactive ones. A key that has as many tasks at work as it may lets
        tasks of others pass.
        """
        if not task.state.waits:
            return None
        waiting = waiting_in_order(task.lane)
        mine = sa.select(waiting.c.turn).where(waiting.c.id == task.id).scalar_subquery()
        earlier = sa.or_(
            waiting.c.turn < mine,
            sa.and_(waiting.c.turn == mine, waiting.c.sequence < task.sequence),
        )
        query = sa.select(sa.func.count()).select_from(waiting).where(earlier)
        interactive = sa.select(sa.func.count()).where(
            tasks.c.state.in_(WAITING), tasks.c.lane == "interactive"
        )
        async with self._database.reading() as connection:
            count = int(await connection.scalar(query) or 0)
            if task.lane == "batch":
                count += int(await connection.scalar(interactive) or 0)
        return count
