"""The tasks of a key, the newest first, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from jobs.serve.store.database import Database
from jobs.serve.store.tables import tasks
from jobs.serve.store.task_rows import task_of
from jobs.serve.task import State, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The tasks that a list shows; without values, all of them.

    Attributes:
        states: their states; None: any.
        since: earliest time of their acceptance, in milliseconds since the epoch; None: any.
        before: the time before which they were accepted; None: any.
    """

    states: Sequence[State] | None = None
    since: int | None = None
    before: int | None = None

    def clauses(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of a query."""
        clauses: list[sa.ColumnElement[bool]] = []
        if self.states is not None:
            clauses.append(tasks.c.state.in_(self.states))
        if self.since is not None:
            clauses.append(tasks.c.created_at >= self.since)
        if self.before is not None:
            clauses.append(tasks.c.created_at < self.before)
        return clauses


EVERYTHING = Filter()


class History:
    """Lists tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        key_id: str,
        limit: int,
        before: int | None = None,
        only: Filter = EVERYTHING,
    ) -> tuple[list[Task], str]:
        """Return tasks of a key, the newest first, and the cursor of the next page.

        Args:
            key_id: the key.
            limit: most tasks.
            before: the cursor: only older tasks are returned; None: from the newest on.
            only: the tasks to show.

        Returns:
            The tasks, and the cursor as a text, which is empty at the end.
        """
        query = sa.select(tasks).where(tasks.c.key_id == key_id, *only.clauses())
        if before is not None:
            query = query.where(tasks.c.sequence < before)
        query = query.order_by(tasks.c.sequence.desc()).limit(limit + 1)
        async with self._database.reading() as connection:
            found = [task_of(row) for row in (await connection.execute(query)).all()]
        shown = found[:limit]
        return shown, str(shown[-1].sequence) if len(found) > limit else ""

    async def numbered_page(
        self, key_id: str, number: int, size: int, only: Filter = EVERYTHING
    ) -> tuple[int, list[Task]]:
        """Return the number of tasks of a key, and those of a page, counted from 1."""
        mine = sa.and_(tasks.c.key_id == key_id, *only.clauses())
        count = sa.select(sa.func.count()).select_from(tasks).where(mine)
        query = sa.select(tasks).where(mine).order_by(tasks.c.sequence.desc())
        query = query.limit(size).offset((number - 1) * size)
        async with self._database.reading() as connection:
            total = int(await connection.scalar(count) or 0)
            found = [task_of(row) for row in (await connection.execute(query)).all()]
        return total, found

    async def ended_before(self, at: int, most: int) -> list[str]:
        """Return the ids of tasks that ended before a time, the oldest first."""
        query = sa.select(tasks.c.id).where(tasks.c.ended_at < at)
        query = query.order_by(tasks.c.ended_at).limit(most)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())
