"""Files whose time is over, and the oldest ones if there are too many bytes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.files import File, file_of
from jobs.serve.store.tables import deliveries, files, tasks
from jobs.serve.task import Drawing

_NEW_MS = 3_600_000
"""An upload is kept for this long: its client is about to name it in a request."""


class OldFiles:
    """Finds the files to delete; never one that a task uses which has not ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expired(self, most: int) -> list[File]:
        """Return files whose time is over, the oldest first."""
        query = sa.select(files).where(files.c.expires_at <= now_ms())
        query = query.order_by(files.c.expires_at)
        async with self._database.reading() as connection:
            used = await _used_uploads(connection)
            return await _unused(connection, query, used, most)

    async def beyond(self, max_bytes: int, most: int) -> list[File]:
        """Return the oldest files, as many as are too many for a number of bytes.

        An image is as old as the end of its task, and stays until the webhook is settled.

        Args:
            max_bytes: bytes that may stay.
            most: most files.
        """
        total = sa.select(sa.func.sum(files.c.size)).where(files.c.path.is_not(None))
        told = ~sa.exists().where(
            deliveries.c.task_id == files.c.task_id, deliveries.c.next_at.is_not(None)
        )
        age = sa.func.coalesce(tasks.c.ended_at, files.c.created_at)
        query = sa.select(files).outerjoin(tasks, tasks.c.id == files.c.task_id)
        query = query.where(
            files.c.path.is_not(None),
            sa.or_(
                sa.and_(files.c.role == "output", told),
                sa.and_(files.c.role == "input", files.c.created_at < now_ms() - _NEW_MS),
            ),
        )
        async with self._database.reading() as connection:
            excess = int(await connection.scalar(total) or 0) - max_bytes
            if excess <= 0:
                return []
            used = await _used_uploads(connection)
            query = query.order_by(age, files.c.id)
            oldest = await _unused(connection, query, used, most)
        doomed = []
        for file in oldest:
            if excess <= 0:
                break
            excess -= file.size or 0
            doomed.append(file)
        return doomed


async def _unused(
    connection: AsyncConnection, query: sa.Select[Any], used: set[str], most: int
) -> list[File]:
    rows = (await connection.execute(query.limit(most + len(used)))).all()
    return [file for file in map(file_of, rows) if file.id not in used][:most]


async def _used_uploads(connection: AsyncConnection) -> set[str]:
    """Return the ids of the uploads that tasks use which have not ended."""
    query = sa.select(tasks.c.drawing).where(tasks.c.ended_at.is_(None))
    used = set()
    for drawing in (await connection.execute(query)).scalars():
        given = Drawing.from_json(drawing)
        references = [*given.styles, *([] if given.content is None else [given.content])]
        used |= {each.file_id for each in references if each.file_id is not None}
    return used
