"""Idempotency keys: a request that is sent again gets the task of the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from jobs.serve.errors import ApiError
from jobs.serve.store.database import insert_if_new, now_ms
from jobs.serve.store.inline import Connection
from jobs.serve.store.tables import replays, tasks
from jobs.serve.store.task_rows import task_of
from jobs.serve.task import Task

_REPLAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Replay:
    """An idempotency key, and the hash of the request that carries it."""

    key: str
    body_sha256: str


async def earlier_task(
    connection: Connection, key_id: str, replay: Replay, task_id: str, at: int
) -> Task | None:
    """Note an idempotency key for a new task, or return the task that has it already.

    Raises:
        ApiError: the earlier request had another body, or its task was deleted.
    """
    mine = sa.and_(replays.c.key_id == key_id, replays.c.idempotency_key == replay.key)
    expired = replays.c.created_at < at - _REPLAY_MS
    await connection.execute(replays.delete().where(mine, expired))
    row = (key_id, replay.key, replay.body_sha256, task_id, at)
    fresh = dict(zip(replays.columns.keys(), row, strict=True))
    await insert_if_new(connection, replays, fresh)
    known = (await connection.execute(sa.select(replays).where(mine))).one()
    return None if known.task_id == task_id else await _task_of(connection, known, replay)


async def find_earlier_task(connection: Connection, key_id: str, replay: Replay) -> Task | None:
    """Return the task that has an idempotency key; None if there is none.

    Raises:
        ApiError: as `earlier_task`.
    """
    mine = sa.and_(replays.c.key_id == key_id, replays.c.idempotency_key == replay.key)
    query = sa.select(replays).where(mine, replays.c.created_at >= now_ms() - _REPLAY_MS)
    known = (await connection.execute(query)).one_or_none()
    return None if known is None else await _task_of(connection, known, replay)


async def _task_of(connection: Connection, known: sa.Row[Any], replay: Replay) -> Task:
    if known.body_sha256 != replay.body_sha256:
        message = "this Idempotency-Key was used with another body; send a new key"
        raise ApiError(409, message)
    query = sa.select(tasks).where(tasks.c.id == known.task_id)
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise ApiError(409, "the task of this Idempotency-Key was deleted; send a new key")
    return task_of(found)
