"""The tasks that have not ended, counted."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from jobs.serve.store.database import Database
from jobs.serve.store.tables import tasks
from jobs.serve.task import State


class Unended:
    """Counts tasks that have not ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self) -> tuple[Mapping[State, int], int | None]:
        """Return the number of tasks by state, and when the oldest waiting one was accepted.

        The time is in milliseconds since the epoch; None: no task waits.
        """
        query = sa.select(
            tasks.c.state, sa.func.count().label("count"), sa.func.min(tasks.c.created_at)
        )
        query = query.where(tasks.c.ended_at.is_(None)).group_by(tasks.c.state)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        counts = {State(state): count for state, count, _ in rows}
        return counts, min((at for state, _, at in rows if State(state).waits), default=None)
