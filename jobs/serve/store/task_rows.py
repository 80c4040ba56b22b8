"""The statements that every task needs, built once, and tasks as rows.

SQLAlchemy takes ten times as long to build a statement as to execute it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from jobs.serve.store.database import now_ms
from jobs.serve.store.queue import AT_WORK, WAITING
from jobs.serve.store.tables import deliveries, events, files, tasks
from jobs.serve.task import Drawing, NewTask, Output, State, Task, new_id

_ID: sa.BindParameter[str] = sa.bindparam("task_id")
_AT: sa.BindParameter[int] = sa.bindparam("at")
_MINE = tasks.c.id == _ID
_STATE: sa.BindParameter[int] = sa.bindparam("to_state")

ENDED = (tasks.c.created_at, tasks.c.started_at, tasks.c.inference_ms)
"""Columns of a task that ends, for counts."""

ADD = tasks.insert().returning(tasks.c.sequence)
"""Takes the columns of `new_row`."""

NOTE = events.insert()
"""Takes `task_id`, `state` and `at`."""

ADD_FILES = files.insert()
"""Takes the columns of files."""

ADD_DELIVERY = deliveries.insert()
"""Takes `id`, `task_id` and `next_at`."""

GET = sa.select(tasks).where(_MINE)
"""Takes `task_id`."""

EVENTS = sa.select(events.c.state, events.c.at).where(events.c.task_id == _ID)
EVENTS = EVENTS.order_by(events.c.number)
"""Takes `task_id`."""

CLAIM = (
    tasks.update()
    .where(tasks.c.id.in_(sa.bindparam("ids", expanding=True)), tasks.c.state.in_(WAITING))
    .values(state=State.DISPATCHED, updated_at=_AT)
    .returning(tasks)
)
"""Takes `ids` and `at`."""

ADVANCE = (
    tasks.update()
    .where(_MINE, tasks.c.state.in_(AT_WORK), tasks.c.state <= _STATE)
    .values(
        state=_STATE,
        progress=sa.bindparam("to_progress"),
        updated_at=_AT,
        started_at=sa.func.coalesce(tasks.c.started_at, _AT),
        attempts=sa.func.coalesce(sa.bindparam("to_attempts", type_=sa.Integer), tasks.c.attempts),
    )
)
"""Takes `task_id`, `at`, `to_state`, `to_progress`, and `to_attempts`, None for those it has."""

REQUEUE = (
    tasks.update()
    .where(_MINE, tasks.c.state.in_(AT_WORK), tasks.c.state != State.CANCELLING)
    .values(state=State.QUEUED, progress=0, updated_at=_AT)
    .returning(tasks.c.sequence, tasks.c.id, tasks.c.key_id, tasks.c.lane)
)
"""Takes `task_id` and `at`."""


def _ending(state: State, *where: sa.ColumnElement[bool], **values: Any) -> sa.Executable:  # noqa: ANN401 (values of columns)
    change = tasks.update().where(_MINE, tasks.c.ended_at.is_(None), *where)
    change = change.values(state=state, updated_at=_AT, ended_at=_AT, **values)
    return change.returning(tasks.c.webhook, *ENDED)


_UNLESS_CANCELLING = tasks.c.state != State.CANCELLING

COMPLETE = _ending(
    State.COMPLETED,
    _UNLESS_CANCELLING,
    progress=100,
    outputs=sa.bindparam("images", type_=sa.JSON),
    inference_ms=sa.bindparam("ms"),
)
"""Takes `task_id`, `at`, `images` and `ms`."""

FAIL = _ending(
    State.FAILED,
    _UNLESS_CANCELLING,
    error_code=sa.bindparam("code"),
    error=sa.bindparam("message"),
    outputs=sa.bindparam("images", type_=sa.JSON),
)
"""Takes `task_id`, `at`, `code`, `message` and `images`."""

CANCEL = _ending(State.CANCELLED)
"""Takes `task_id` and `at`."""

CANCEL_WAITING = _ending(State.CANCELLED, tasks.c.state.in_(WAITING))
"""Takes `task_id` and `at`."""


def new_row(new: NewTask) -> dict[str, Any]:
    """Return the row of a task that is accepted now, without its sequence."""
    at = now_ms()
    return {
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
        "started_at": None,
        "ended_at": None,
        "attempts": 0,
        "progress": 0,
        "error_code": "",
        "error": "",
        "outputs": [],
        "inference_ms": 0,
    }


def task_of(row: sa.Row[Any]) -> Task:
    """Return the task in a row."""
    return task_of_values(row._mapping)  # noqa: SLF001 (the documented way to the columns by name)


def task_of_values(row: Any) -> Task:  # noqa: ANN401 (a mapping of columns)
    """Return the task with these values of columns."""
    values = dict(row)
    values["state"] = State(values["state"])
    values["drawing"] = Drawing.from_json(values["drawing"])
    values["outputs"] = tuple(Output(**output) for output in values["outputs"])
    return Task(**values)
