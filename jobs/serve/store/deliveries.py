"""Webhooks that are due: an outbox, filled in the transaction that ends a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.prepared import Prepared
from jobs.serve.store.tables import deliveries

_AT_WORK_MS = 60_000
"""A delivery that was taken and not settled for this long is due again: its server has died."""

_NEXT_AT = Prepared(sa.select(sa.func.min(deliveries.c.next_at).label("next_at")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A webhook that is due.

    Attributes:
        id: the same in each attempt, so that a receiver can drop repeats.
        attempts: attempts so far.
    """

    id: str
    task_id: str
    attempts: int


class DeliveryStore:
    """Takes and settles deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_due(self, most: int) -> list[Delivery]:
        """Take deliveries that are due, the oldest first."""
        at = now_ms()
        due = sa.select(deliveries.c.id).where(deliveries.c.next_at <= at)
        due = due.order_by(deliveries.c.next_at).limit(most)
        change = (
            deliveries.update()
            .where(deliveries.c.id.in_(due), deliveries.c.next_at <= at)
            .values(next_at=at + _AT_WORK_MS)
            .returning(deliveries.c.id, deliveries.c.task_id, deliveries.c.attempts)
        )
        async with self._database.writing() as connection:
            rows = (await connection.execute(change)).all()
        return [Delivery(id=row.id, task_id=row.task_id, attempts=row.attempts) for row in rows]

    async def take_over(self) -> None:
        """Make the deliveries due that an earlier server had taken and not settled."""
        at = now_ms()
        taken = sa.and_(deliveries.c.next_at > at, deliveries.c.next_at <= at + _AT_WORK_MS)
        async with self._database.writing() as connection:
            await connection.execute(deliveries.update().where(taken).values(next_at=at))

    async def next_at(self) -> int | None:
        """Return the time of the next delivery, in milliseconds since the epoch."""
        async with self._database.looking_up() as connection:
            (row,) = (await _NEXT_AT.run(connection, {})).rows
        at: int | None = row.next_at
        return at

    async def undelivered(self) -> list[Delivery]:
        """Return the deliveries that are neither accepted nor given up."""
        columns = (deliveries.c.id, deliveries.c.task_id, deliveries.c.attempts)
        query = sa.select(*columns).where(deliveries.c.next_at.is_not(None))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [Delivery(id=row.id, task_id=row.task_id, attempts=row.attempts) for row in rows]

    async def settle(self, delivery: Delivery, result: str, *, delivered: bool) -> None:
        """Note that a delivery was accepted, or is given up."""
        at = now_ms() if delivered else None
        await self._change(delivery, result, {"next_at": None, "delivered_at": at})

    async def retry_at(self, delivery: Delivery, result: str, at: int) -> None:
        """Note that an attempt failed, and that another one is due at `at`."""
        await self._change(delivery, result, {"next_at": at})

    async def _change(
        self, delivery: Delivery, result: str, values: Mapping[str, int | None]
    ) -> None:
        change = deliveries.update().where(deliveries.c.id == delivery.id)
        change = change.values(attempts=delivery.attempts + 1, result=result, **values)
        async with self._database.writing() as connection:
            await connection.execute(change)
