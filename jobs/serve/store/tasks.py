"""Tasks in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.serve.errors import ApiError
from jobs.serve.store.database import Database, insert_if_new, now_ms
from jobs.serve.store.order import AT_WORK, WAITING, waiting_in_order
from jobs.serve.store.tables import deliveries, events, files, replays, tasks
from jobs.serve.task import Drawing, Lane, NewTask, Output, State, Task, new_id
from pipelines.rows import Outcome

Images: TypeAlias = tuple[Sequence[Output], Sequence[dict[str, Any]]]
"""Images of a task, and their rows in the table of files."""

_REPLAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Replay:
    """An idempotency key, and the hash of the request that carries it."""

    key: str
    body_sha256: str


class TaskStore:
    """Accepts, claims and ends tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewTask, replay: Replay | None = None) -> Task:
        """Accept a task: when this returns, no crash can lose it.

        Args:
            new: the task.
            replay: the idempotency key of its request. The task of an earlier request with this key
                is returned, and none is added.

        Raises:
            ApiError: the earlier request had another body.
        """
        at = now_ms()
        row = {
            "id": new_id(),
            "key_id": new.key_id,
            "dialect": new.dialect,
            "lane": new.lane,
            "state": State.QUEUED,
            "drawing": new.drawing.as_json(),
            "given": dict(new.given),
            "extras": dict(new.extras),
            "webhook": new.webhook,
            "created_at": at,
            "updated_at": at,
            "outputs": [],
        }
        async with self._database.writing() as connection:
            if replay is not None:
                earlier = await _earlier(connection, new.key_id, replay, str(row["id"]), at)
                if earlier is not None:
                    return earlier
            added = await connection.execute(tasks.insert().values(row).returning(tasks))
            task = task_of(added.one())
            await _note(connection, [task.id], State.RECEIVED, at)
            await _note(connection, [task.id], State.QUEUED, at)
        return task

    async def get(self, task_id: str, key_id: str | None = None) -> Task | None:
        """Return a task; None if there is none, or none of this key."""
        query = sa.select(tasks).where(tasks.c.id == task_id)
        if key_id is not None:
            query = query.where(tasks.c.key_id == key_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else task_of(row)

    async def delete(self, task_ids: Sequence[str]) -> int:
        """Delete tasks that have ended, with their events, and return their number."""
        ended = sa.and_(tasks.c.id.in_(task_ids), tasks.c.ended_at.is_not(None))
        async with self._database.writing() as connection:
            gone = await connection.execute(tasks.delete().where(ended).returning(tasks.c.id))
            ids = gone.scalars().all()
            for table in (events, deliveries):
                await connection.execute(table.delete().where(table.c.task_id.in_(ids)))
        return len(ids)

    async def events_of(self, task_id: str) -> list[tuple[State, int]]:
        """Return the states that a task has had, with the time of each, in order."""
        query = sa.select(events.c.state, events.c.at).where(events.c.task_id == task_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(events.c.number))).all()
        return [(State(row.state), row.at) for row in rows]

    async def count_waiting(self, key_id: str | None = None) -> int:
        """Return the number of tasks that wait for an actor."""
        query = sa.select(sa.func.count()).where(tasks.c.state.in_(WAITING))
        if key_id is not None:
            query = query.where(tasks.c.key_id == key_id)
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def claim(self, lane: Lane, most: int, without: Sequence[str] = ()) -> list[Task]:
        """Take waiting tasks of a lane: the keys in turn, and of each key the oldest first.

        See `jobs.serve.store.order`.

        Args:
            lane: the lane.
            most: most tasks.
            without: keys whose tasks stay.
        """
        waiting = waiting_in_order(lane)
        chosen = (
            sa.select(waiting.c.sequence)
            .where(waiting.c.key_id.not_in(without))
            .order_by(waiting.c.turn, waiting.c.sequence)
            .limit(most)
        )
        at = now_ms()
        change = (
            tasks.update()
            .where(tasks.c.sequence.in_(chosen), tasks.c.state.in_(WAITING))
            .values(state=State.DISPATCHED, updated_at=at)
            .returning(tasks)
        )
        async with self._database.writing() as connection:
            claimed = [task_of(row) for row in (await connection.execute(change)).all()]
            await _note(connection, [task.id for task in claimed], State.DISPATCHED, at)
        return sorted(claimed, key=lambda task: task.sequence)

    async def start(self, task: Task) -> bool:
        """Note that an actor has a task, which counts as an attempt once; see `advance`."""
        return await self.advance(task.id, State.RUNNING, attempts=task.attempts + 1)

    async def advance(
        self, task_id: str, state: State, progress: int = 0, attempts: int | None = None
    ) -> bool:
        """Note that a task at work has reached a state; return False if it has ended meanwhile."""
        at = now_ms()
        change = (
            tasks.update()
            .where(tasks.c.id == task_id, tasks.c.state.in_(AT_WORK), tasks.c.state <= state)
            .values(
                state=state,
                progress=progress,
                updated_at=at,
                started_at=sa.func.coalesce(tasks.c.started_at, at),
                attempts=tasks.c.attempts if attempts is None else attempts,
            )
        )
        async with self._database.writing() as connection:
            changed = (await connection.execute(change)).rowcount > 0
            if changed:
                await _note(connection, [task_id], state, at)
        return changed

    async def complete(self, task: Task, images: Images, ms: int) -> bool:
        """End a task with its images.

        Args:
            task: the task.
            images: the images.
            ms: time on the device.

        Returns:
            False if the task had ended before, e.g. by a cancel; nothing has changed then.
        """
        outputs = [asdict(output) for output in images[0]]
        values = {"outputs": outputs, "progress": 100, "inference_ms": ms}
        return await self._end(task.id, State.COMPLETED, values, images[1])

    async def fail(self, task_id: str, code: str, message: str, images: Images = ((), ())) -> bool:
        """End a task with a failure, and with images if some were withheld; see `complete`."""
        outputs = [asdict(output) for output in images[0]]
        values = {"error_code": code, "error": message, "outputs": outputs}
        return await self._end(task_id, State.FAILED, values, images[1])

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task: at once while it waits, else after the step that is under way.

        Returns:
            False if it had ended before.
        """
        waiting = tasks.c.state.in_(WAITING)
        if await self._end(task_id, State.CANCELLED, {}, where=waiting):
            return True
        return await self.advance(task_id, State.CANCELLING)

    async def cancelled(self, task_id: str) -> bool:
        """End a task whose cancel was asked for; see `complete`."""
        return await self._end(task_id, State.CANCELLED, {})

    async def at_work(self, without: Sequence[str] = ()) -> list[Task]:
        """Return the tasks at work.

        Args:
            without: tasks to leave out.
        """
        query = sa.select(tasks).where(tasks.c.state.in_(AT_WORK), tasks.c.id.not_in(without))
        async with self._database.reading() as connection:
            return [task_of(row) for row in (await connection.execute(query)).all()]

    async def requeue(self, task_id: str) -> bool:
        """Let a task wait again; return False if it is not at work, or its cancel was asked for."""
        at = now_ms()
        change = tasks.update().where(
            tasks.c.id == task_id, tasks.c.state.in_(AT_WORK), tasks.c.state != State.CANCELLING
        )
        change = change.values(state=State.QUEUED, progress=0, updated_at=at)
        async with self._database.writing() as connection:
            changed = (await connection.execute(change)).rowcount > 0
            if changed:
                await _note(connection, [task_id], State.QUEUED, at)
        return changed

    async def _end(
        self,
        task_id: str,
        state: State,
        values: dict[str, Any],
        file_rows: Sequence[dict[str, Any]] = (),
        where: sa.ColumnElement[bool] | None = None,
    ) -> bool:
        """End a task, add its files and its webhook, all in one transaction."""
        at = now_ms()
        change = tasks.update().where(tasks.c.id == task_id, tasks.c.ended_at.is_(None))
        if where is not None:
            change = change.where(where)
        change = change.values(state=state, updated_at=at, ended_at=at, **values)
        async with self._database.writing() as connection:
            row = (await connection.execute(change.returning(tasks.c.webhook))).one_or_none()
            if row is None:
                return False
            await _note(connection, [task_id], state, at)
            if file_rows:
                await connection.execute(files.insert(), list(file_rows))
            if row.webhook is not None:
                outbox = {"id": new_id(), "task_id": task_id, "next_at": at}
                await connection.execute(deliveries.insert().values(outbox))
        return True


async def _earlier(
    connection: AsyncConnection, key_id: str, replay: Replay, task_id: str, at: int
) -> Task | None:
    """Note an idempotency key for a new task, or return the task that has it already."""
    mine = sa.and_(replays.c.key_id == key_id, replays.c.idempotency_key == replay.key)
    expired = replays.c.created_at < at - _REPLAY_MS
    await connection.execute(replays.delete().where(mine, expired))
    row = (key_id, replay.key, replay.body_sha256, task_id, at)
    fresh = dict(zip(replays.columns.keys(), row, strict=True))
    await insert_if_new(connection, replays, fresh)
    known = (await connection.execute(sa.select(replays).where(mine))).one()
    if known.task_id == task_id:
        return None
    if known.body_sha256 != replay.body_sha256:
        message = "this Idempotency-Key was used with another body; send a new key"
        raise ApiError(409, message)
    query = sa.select(tasks).where(tasks.c.id == known.task_id)
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise ApiError(409, "the task of this Idempotency-Key was deleted; send a new key")
    return task_of(found)


async def _note(
    connection: AsyncConnection, task_ids: Sequence[str], state: State, at: int
) -> None:
    if task_ids:
        rows = [{"task_id": task_id, "state": state, "at": at} for task_id in task_ids]
        await connection.execute(events.insert(), rows)


def task_of(row: sa.Row[Any]) -> Task:
    """Return the task in a row."""
    values = dict(row._mapping)  # noqa: SLF001 (the documented way to the columns by name)
    values["state"] = State(values["state"])
    values["drawing"] = Drawing.from_json(values["drawing"])
    values["outputs"] = tuple(Output(**output) for output in values["outputs"])
    return Task(**values)


def outcome_ms(outcome: Outcome) -> int:
    """Return the time that an outcome's images took on the device, in milliseconds."""
    return round((outcome.device_s or 0) * 1000)
