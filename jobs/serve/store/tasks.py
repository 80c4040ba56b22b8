"""Tasks in the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, TypeAlias

import sqlalchemy as sa

from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.store import task_rows
from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.inline import Connection
from jobs.serve.store.line import Place
from jobs.serve.store.prepared import Prepared
from jobs.serve.store.queue import AT_WORK, Queue
from jobs.serve.store.replays import Replay, earlier_task, find_earlier_task
from jobs.serve.store.tables import deliveries, events, tasks
from jobs.serve.store.task_rows import task_of
from jobs.serve.task import Ended, Lane, NewTask, Output, State, Task, new_id
from pipelines.rows import Outcome

Images: TypeAlias = tuple[Sequence[Output], Sequence[dict[str, Any]]]
"""Images of a task, and their rows in the table of files."""

_NO_LIMITS: Mapping[str, int] = {}
_NO_VALUES: Mapping[str, Any] = {}


class TaskStore:
    """Accepts, claims and ends tasks.

    Attributes:
        queue: the waiting tasks.
    """

    def __init__(self, database: Database, on_end: Callable[[Ended], None] | None = None) -> None:
        """Keep tasks in `database`; `on_end` is called after each end of a task."""
        self._database = database
        self.queue = Queue(database)
        self._on_end = on_end
        self._ending: Counter[str] = Counter()  # tasks whose end may not be on the disk yet

    async def add(self, new: NewTask, replay: Replay | None = None) -> Task:
        """Accept a task: when this returns, no crash can lose it.

        Args:
            new: the task.
            replay: the idempotency key of its request. The task of an earlier request with this key
                is returned, and none is added.

        Raises:
            ApiError: the earlier request had another body.
        """
        row = task_rows.new_row(new)
        task_id, at = row["id"], row["created_at"]
        async with self._writing() as connection:
            if replay is not None:
                earlier = await earlier_task(connection, new.key_id, replay, task_id, at)
                if earlier is not None:
                    return earlier
            sequence = (await task_rows.ADD.run(connection, row)).one.sequence
            await _note(connection, [task_id], State.RECEIVED, State.QUEUED, at=at)
        self.queue.wait(Place(sequence, task_id, new.key_id, new.lane))
        return task_rows.task_of_values({**row, "sequence": sequence})

    async def find_earlier(self, key_id: str, replay: Replay) -> Task | None:
        """Return the task of an earlier request with an idempotency key; None if there is none.

        Raises:
            ApiError: the earlier request had another body.
        """
        async with self._database.looking_up() as connection:
            earlier = await find_earlier_task(connection, key_id, replay)
        if earlier is not None:  # its own request may still wait for the disk
            await self._database.settled()
        return earlier

    async def get(self, task_id: str, key_id: str | None = None) -> Task | None:
        """Return a task; None if there is none, or none of this key."""
        async with self._database.looking_up() as connection:
            row = (await task_rows.GET.run(connection, {"task_id": task_id})).one
        if row is None or key_id not in (None, row.key_id):
            return None
        await self._settled(task_id)
        return task_of(row)

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
        async with self._database.looking_up() as connection:
            rows = (await task_rows.EVENTS.run(connection, {"task_id": task_id})).rows
        await self._settled(task_id)
        return [(State(row.state), row.at) for row in rows]

    async def count_waiting(self, key_id: str | None = None) -> int:
        """Return the number of tasks that wait for an actor."""
        line = await self.queue.line()
        return len(line) if key_id is None else line.waiting(key_id)

    async def claim(
        self, lane: Lane, most: int, room: Mapping[str, int] = _NO_LIMITS
    ) -> list[Task]:
        """Take waiting tasks of a lane: the keys in turn, and of each key the oldest first.

        Args:
            lane: the lane.
            most: most tasks.
            room: most tasks of a key; a key that it does not name has no limit.

        Returns:
            The tasks, in the order of their turns.
        """
        chosen = (await self.queue.line()).first(lane, most, room)
        if not chosen:
            return []
        for place in chosen:  # no other claim may choose them meanwhile
            self.queue.work(place.task_id, place.key_id)
        at, ids = now_ms(), [place.task_id for place in chosen]
        async with self._writing(durable=False) as connection:  # a lost claim is made again
            found = [
                (await task_rows.CLAIM.run(connection, {"task_id": task_id, "at": at})).one
                for task_id in ids
            ]
            claimed = {row.id: task_of(row) for row in found if row is not None}
            await _note(connection, list(claimed), State.DISPATCHED, at=at)
        for task_id in ids:
            if task_id not in claimed:  # it was cancelled meanwhile
                self.queue.leave(task_id)
        return [claimed[task_id] for task_id in ids if task_id in claimed]

    async def start(self, task: Task) -> bool:
        """Note that an actor has a task, which counts as an attempt once; see `advance`."""
        return await self.advance(task.id, State.RUNNING, attempts=task.attempts + 1)

    async def advance(
        self, task_id: str, state: State, progress: int = 0, attempts: int | None = None
    ) -> bool:
        """Note that a task at work has reached a state; return False if it has ended meanwhile."""
        at = now_ms()
        change = {
            "task_id": task_id,
            "at": at,
            "to_state": state,
            "to_progress": progress,
            "to_attempts": attempts,
        }
        durable = state is State.CANCELLING  # all others come again with the next attempt
        async with self._database.writing(durable=durable) as connection:
            changed = (await task_rows.ADVANCE.run(connection, change)).count > 0
            if changed:
                await _note(connection, [task_id], state, at=at)
        return changed

    async def complete(self, task: Task, images: Images, ms: int) -> bool:
        """End a task with its images.

        Args:
            task: the task.
            images: the images.
            ms: time on the device.

        Returns:
            False if the task had ended before, or its cancel was asked for; nothing has changed
            then.
        """
        values = {"images": [asdict(output) for output in images[0]], "ms": ms}
        return await self._end(task.id, State.COMPLETED, task_rows.COMPLETE, values, images[1])

    async def fail(self, task_id: str, code: str, message: str, images: Images = ((), ())) -> bool:
        """End a task with a failure, and with images if some were withheld; see `complete`."""
        outputs = [asdict(output) for output in images[0]]
        values = {"code": code, "message": message, "images": outputs}
        return await self._end(task_id, State.FAILED, task_rows.FAIL, values, images[1])

    async def cancel(self, task_id: str) -> bool:
        """Cancel a task: at once while it waits, else after the step that is under way.

        Returns:
            False if it had ended before.
        """
        if await self._end(task_id, State.CANCELLED, task_rows.CANCEL_WAITING):
            return True
        return await self.advance(task_id, State.CANCELLING)

    async def cancelled(self, task_id: str) -> bool:
        """End a task whose cancel was asked for; see `complete`."""
        return await self._end(task_id, State.CANCELLED, task_rows.CANCEL)

    async def at_work(self, without: Sequence[str] = ()) -> list[Task]:
        """Return the tasks at work.

        Args:
            without: tasks to leave out.
        """
        query = sa.select(tasks).where(
            tasks.c.ended_at.is_(None), tasks.c.state.in_(AT_WORK), tasks.c.id.not_in(without)
        )
        async with self._database.reading() as connection:
            return [task_of(row) for row in (await connection.execute(query)).all()]

    async def requeue(self, task_id: str) -> bool:
        """Let a task wait again; return False if it is not at work, or its cancel was asked for."""
        at = now_ms()
        async with self._writing() as connection:
            row = (await task_rows.REQUEUE.run(connection, {"task_id": task_id, "at": at})).one
            if row is not None:
                await _note(connection, [task_id], State.QUEUED, at=at)
        if row is not None:
            self.queue.wait(Place(row.sequence, row.id, row.key_id, row.lane))
        return row is not None

    async def _end(
        self,
        task_id: str,
        state: State,
        ending: Prepared,
        values: Mapping[str, Any] = _NO_VALUES,
        file_rows: Sequence[dict[str, Any]] = (),
    ) -> bool:
        """End a task, add its files and its webhook, all in one transaction."""
        at = now_ms()
        async with self._seen_once_synced(task_id), self._writing() as connection:
            change = {"task_id": task_id, "at": at, **values}
            row = (await ending.run(connection, change)).one
            if row is None:
                return False
            await _note(connection, [task_id], state, at=at)
            if file_rows:
                await task_rows.ADD_FILE.run_for_each(connection, file_rows)
            if row.webhook is not None:
                outbox = {"id": new_id(), "task_id": task_id, "next_at": at}
                await task_rows.ADD_DELIVERY.run(connection, outbox)
        self.queue.leave(task_id)
        if self._on_end is not None:
            facts = {column.name: getattr(row, column.name) for column in task_rows.ENDED}
            self._on_end(Ended(state=state, **facts))
        return True

    @asynccontextmanager
    async def _seen_once_synced(self, task_id: str) -> AsyncIterator[None]:
        """Let readers of a task wait for the disk during the block, in which it ends."""
        self._ending[task_id] += 1
        try:
            yield
        finally:
            self._ending[task_id] -= 1
            if not self._ending[task_id]:
                del self._ending[task_id]

    async def _settled(self, task_id: str) -> None:
        """Let nobody hear of an end that a power cut would take back."""
        if task_id in self._ending:
            await self._database.settled()

    @asynccontextmanager
    async def _writing(self, *, durable: bool = True) -> AsyncIterator[Connection]:
        """Yield a connection for a change of the queue; see `Database.writing`."""
        try:
            async with self._database.writing(durable=durable) as connection:
                yield connection
        except (DatabaseUnavailableError, asyncio.CancelledError):
            self.queue.forget()  # the change may have been committed
            raise


async def _note(connection: Connection, task_ids: Sequence[str], *states: State, at: int) -> None:
    """Note the states that tasks have reached, in order."""
    if task_ids:
        rows = [
            {"task_id": task_id, "state": state, "at": at}
            for task_id in task_ids
            for state in states
        ]
        await task_rows.NOTE.run_for_each(connection, rows)


def outcome_ms(outcome: Outcome) -> int:
    """Return the time that an outcome's images took on the device, in milliseconds."""
    return round((outcome.device_s or 0) * 1000)
