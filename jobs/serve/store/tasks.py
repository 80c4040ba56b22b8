"""Tasks in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.tables import deliveries, events, files, tasks
from jobs.serve.task import Drawing, Lane, NewTask, Output, State, Task, new_id
from pipelines.rows import Outcome

_WAITING = (State.RECEIVED, State.QUEUED)
_AT_WORK = tuple(state for state in State if not state.ended and not state.waits)


class TaskStore:
    """Accepts, claims and ends tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewTask) -> Task:
        """Accept a task: when this returns, no crash can lose it."""
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
            added = await connection.execute(tasks.insert().values(row).returning(tasks))
            task = _task(added.one())
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
        return None if row is None else _task(row)

    async def events_of(self, task_id: str) -> list[tuple[State, int]]:
        """Return the states that a task has had, with the time of each, in order."""
        query = sa.select(events.c.state, events.c.at).where(events.c.task_id == task_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(events.c.number))).all()
        return [(State(row.state), row.at) for row in rows]

    async def count_waiting(self, key_id: str | None = None) -> int:
        """Return the number of tasks that wait for an actor."""
        query = sa.select(sa.func.count()).where(tasks.c.state.in_(_WAITING))
        if key_id is not None:
            query = query.where(tasks.c.key_id == key_id)
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def claim(self, lane: Lane, most: int) -> list[Task]:
        """Take up to `most` waiting tasks of a lane, the keys in turn, the oldest of each first."""
        turn = sa.func.row_number().over(partition_by=tasks.c.key_id, order_by=tasks.c.sequence)
        waiting = (
            sa.select(tasks.c.sequence, turn.label("turn"))
            .where(tasks.c.lane == lane, tasks.c.state.in_(_WAITING))
            .subquery()
        )
        chosen = (
            sa.select(waiting.c.sequence).order_by(waiting.c.turn, waiting.c.sequence).limit(most)
        )
        at = now_ms()
        change = (
            tasks.update()
            .where(tasks.c.sequence.in_(chosen), tasks.c.state.in_(_WAITING))
            .values(state=State.DISPATCHED, attempts=tasks.c.attempts + 1, updated_at=at)
            .returning(tasks)
        )
        async with self._database.writing() as connection:
            claimed = [_task(row) for row in (await connection.execute(change)).all()]
            await _note(connection, [task.id for task in claimed], State.DISPATCHED, at)
        return sorted(claimed, key=lambda task: task.sequence)

    async def advance(self, task_id: str, state: State, progress: int = 0) -> bool:
        """Note that a task at work has reached a state; return False if it has ended meanwhile."""
        at = now_ms()
        change = (
            tasks.update()
            .where(tasks.c.id == task_id, tasks.c.state.in_(_AT_WORK), tasks.c.state <= state)
            .values(
                state=state,
                progress=progress,
                updated_at=at,
                started_at=sa.func.coalesce(tasks.c.started_at, at),
            )
        )
        async with self._database.writing() as connection:
            changed = (await connection.execute(change)).rowcount > 0
            if changed:
                await _note(connection, [task_id], state, at)
        return changed

    async def complete(
        self, task: Task, outputs: Sequence[Output], rows: Sequence[dict[str, Any]], ms: int
    ) -> bool:
        """End a task with its images.

        Args:
            task: the task.
            outputs: the images.
            rows: their rows in the table of files.
            ms: time on the device.

        Returns:
            False if the task had ended before, e.g. by a cancel; nothing has changed then.
        """
        values = {
            "outputs": [asdict(output) for output in outputs],
            "progress": 100,
            "inference_ms": ms,
        }
        return await self._end(task.id, State.COMPLETED, values, rows)

    async def fail(self, task_id: str, code: str, message: str) -> bool:
        """End a task with a failure; see `complete`."""
        return await self._end(task_id, State.FAILED, {"error_code": code, "error": message})

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task: at once while it waits, else after the step that is under way.

        Returns:
            False if it had ended before.
        """
        waiting = tasks.c.state.in_(_WAITING)
        if await self._end(task_id, State.CANCELLED, {}, where=waiting):
            return True
        return await self.advance(task_id, State.CANCELLING)

    async def cancelled(self, task_id: str) -> bool:
        """End a task whose cancel was asked for; see `complete`."""
        return await self._end(task_id, State.CANCELLED, {})

    async def requeue(self, task_ids: Sequence[str] | None = None) -> int:
        """Let tasks wait again that an actor of an earlier server, or a lost one, has had.

        Args:
            task_ids: the tasks; None: all that are at work.

        Returns:
            The number of tasks.
        """
        at = now_ms()
        where = [tasks.c.state.in_(_AT_WORK), tasks.c.state != State.CANCELLING]
        if task_ids is not None:
            where.append(tasks.c.id.in_(task_ids))
        change = tasks.update().where(*where)
        change = change.values(state=State.QUEUED, progress=0, updated_at=at)
        async with self._database.writing() as connection:
            again = (await connection.execute(change.returning(tasks.c.id))).scalars().all()
            await _note(connection, again, State.QUEUED, at)
        return len(again)

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


async def _note(
    connection: AsyncConnection, task_ids: Sequence[str], state: State, at: int
) -> None:
    if task_ids:
        rows = [{"task_id": task_id, "state": state, "at": at} for task_id in task_ids]
        await connection.execute(events.insert(), rows)


def _task(row: sa.Row[Any]) -> Task:
    values = dict(row._mapping)  # noqa: SLF001 (the documented way to the columns by name)
    values["state"] = State(values["state"])
    values["drawing"] = Drawing.from_json(values["drawing"])
    values["outputs"] = tuple(Output(**output) for output in values["outputs"])
    return Task(**values)


def outcome_ms(outcome: Outcome) -> int:
    """Return the time that an outcome's images took on the device, in milliseconds."""
    return round((outcome.device_s or 0) * 1000)
