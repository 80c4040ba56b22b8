"""The order in which waiting tasks are claimed: keys take turns."""

from __future__ import annotations

import sqlalchemy as sa

from jobs.serve.store.tables import tasks
from jobs.serve.task import Lane, State

WAITING = (State.RECEIVED, State.QUEUED)
AT_WORK = tuple(state for state in State if not state.ended and not state.waits)


def waiting_in_order(lane: Lane) -> sa.Subquery:
    """Return the waiting tasks of a lane with their `turn`; they go by turn, then by sequence.

    The turn of a task is its place among the waiting tasks of its key, plus the tasks of the key
    that are at work. So a key with many tasks does not hold up a key with few.
    """
    at_work = (
        sa.select(tasks.c.key_id, sa.func.count().label("count"))
        .where(tasks.c.state.in_(AT_WORK))
        .group_by(tasks.c.key_id)
        .subquery()
    )
    place = sa.func.row_number().over(partition_by=tasks.c.key_id, order_by=tasks.c.sequence)
    turn = place + sa.func.coalesce(at_work.c.count, 0)
    joined = tasks.outerjoin(at_work, tasks.c.key_id == at_work.c.key_id)
    return (
        sa.select(tasks.c.id, tasks.c.key_id, tasks.c.sequence, turn.label("turn"))
        .select_from(joined)
        .where(tasks.c.lane == lane, tasks.c.state.in_(WAITING))
        .subquery()
    )
