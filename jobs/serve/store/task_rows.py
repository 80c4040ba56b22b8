"""The statements that every task needs, and tasks as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from jobs.serve.store.database import now_ms
from jobs.serve.store.prepared import Prepared
from jobs.serve.store.queue import AT_WORK, WAITING
from jobs.serve.store.tables import deliveries, events, files, tasks
from jobs.serve.task import Drawing, NewTask, Output, State, Task, new_id

_ID: sa.BindParameter[str] = sa.bindparam("task_id")
_AT: sa.BindParameter[int] = sa.bindparam("at")
_MINE = tasks.c.id == _ID
_STATE: sa.BindParameter[int] = sa.bindparam("to_state")


def _in(states: Iterable[State]) -> sa.ColumnElement[bool]:
    """Return the condition that a task is in one of some states; its text has their numbers."""
    return tasks.c.state.in_([sa.literal_column(str(int(state))) for state in states])


def _insert(table: sa.Table, *names: str) -> Prepared:
    return Prepared(table.insert(), *(names or table.columns.keys()))


ENDED = (tasks.c.created_at, tasks.c.started_at, tasks.c.inference_ms)
"""Columns of a task that ends, for counts."""

_NEW = [name for name in tasks.columns.keys() if name != "sequence"]  # noqa: SIM118 (not a dict)

ADD = Prepared(tasks.insert().returning(tasks.c.sequence), *_NEW)
"""Takes the columns of `new_row`."""

NOTE = _insert(events, "task_id", "state", "at")

ADD_FILE = _insert(files)

ADD_DELIVERY = _insert(deliveries, "id", "task_id", "next_at")

GET = Prepared(sa.select(tasks).where(_MINE), "task_id")

EVENTS = Prepared(
    sa.select(events.c.state, events.c.at).where(events.c.task_id == _ID).order_by(events.c.number),
    "task_id",
)

CLAIM = Prepared(
    tasks.update()
    .where(_MINE, _in(WAITING))
    .values(state=State.DISPATCHED, updated_at=_AT)
    .returning(tasks),
    "task_id",
    "at",
)

ADVANCE = Prepared(
    tasks.update()
    .where(_MINE, _in(AT_WORK), tasks.c.state <= _STATE)
    .values(
        state=_STATE,
        progress=sa.bindparam("to_progress"),
        updated_at=_AT,
        started_at=sa.func.coalesce(tasks.c.started_at, _AT),
        attempts=sa.func.coalesce(sa.bindparam("to_attempts", type_=sa.Integer), tasks.c.attempts),
    ),
    "task_id",
    "at",
    "to_state",
    "to_progress",
    "to_attempts",
)
"""`to_attempts` is None for a task that keeps those it has."""

REQUEUE = Prepared(
    tasks.update()
    .where(_MINE, _in(AT_WORK), tasks.c.state != State.CANCELLING)
    .values(state=State.QUEUED, progress=0, updated_at=_AT)
    .returning(tasks.c.sequence, tasks.c.id, tasks.c.key_id, tasks.c.lane),
    "task_id",
    "at",
)


def _ending(
    state: State,
    *where: sa.ColumnElement[bool],
    **values: Any,  # noqa: ANN401 (values of columns)
) -> Prepared:
    change = tasks.update().where(_MINE, tasks.c.ended_at.is_(None), *where)
    change = change.values(state=state, updated_at=_AT, ended_at=_AT, **values)
    given = [value.key for value in values.values() if isinstance(value, sa.BindParameter)]
    return Prepared(change.returning(tasks.c.webhook, *ENDED), "task_id", "at", *given)


_UNLESS_CANCELLING = tasks.c.state != State.CANCELLING

COMPLETE = _ending(
    State.COMPLETED,
    _UNLESS_CANCELLING,
    progress=100,
    outputs=sa.bindparam("images", type_=sa.JSON),
    inference_ms=sa.bindparam("ms"),
)

FAIL = _ending(
    State.FAILED,
    _UNLESS_CANCELLING,
    error_code=sa.bindparam("code"),
    error=sa.bindparam("message"),
    outputs=sa.bindparam("images", type_=sa.JSON),
)

CANCEL = _ending(State.CANCELLED)

CANCEL_WAITING = _ending(State.CANCELLED, _in(WAITING))


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


def task_of(row: Any) -> Task:  # noqa: ANN401 (of SQLAlchemy, or a named tuple)
    """Return the task in a row."""
    return task_of_values(row._asdict())


def task_of_values(row: Any) -> Task:  # noqa: ANN401 (a mapping of columns)
    """Return the task with these values of columns."""
    values = dict(row)
    values["state"] = State(values["state"])
    values["drawing"] = Drawing.from_json(values["drawing"])
    values["outputs"] = tuple(Output(**output) for output in values["outputs"])
    return Task(**values)
