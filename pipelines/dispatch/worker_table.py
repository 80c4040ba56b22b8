"""The workers that are ready, and the rows that each of them holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pipelines.dispatch.device_backlog import DeviceBacklog
from pipelines.dispatch.tasks import Task
from pipelines.rows import Outcome


@dataclass(slots=True, eq=False)
class WorkerState:
    """One ready worker.

    Attributes:
        in_flight: the rows that are on it, by id, each with its deadline.
        turns: when its device comes to their end.
        isolating: it is set aside for rows that are tried alone.
        has_worked: it was given a row.
    """

    name: str
    in_flight: dict[str, tuple[Task, float]] = field(default_factory=dict)
    turns: DeviceBacklog = field(default_factory=DeviceBacklog)
    isolating: bool = False
    has_worked: bool = False


class WorkerTable:
    """Who holds which rows, and until when; most calls look at no more than one worker."""

    def __init__(self, row_timeout_s: float, clock: Callable[[], float]) -> None:
        """Start with no worker.

        Args:
            row_timeout_s: for one row alone on its worker.
            clock: in seconds.
        """
        self._row_timeout_s = row_timeout_s
        self._clock = clock
        self._members: dict[str, WorkerState] = {}
        self._first_deadline = math.inf  # at most the first one of all rows

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[WorkerState]:
        return iter(self._members.values())

    @property
    def in_flight(self) -> int:
        """Rows that are on workers now."""
        return sum(len(member.in_flight) for member in self)

    @property
    def idle(self) -> bool:
        """No row is on a worker."""
        return not any(member.in_flight for member in self)

    def join(self, name: str) -> None:
        """A worker is ready."""
        self._members[name] = WorkerState(name)

    def leave(self, name: str) -> WorkerState | None:
        """A worker is gone; None: it was not ready."""
        return self._members.pop(name, None)

    def give(self, member: WorkerState, task: Task) -> None:
        """A row goes to a worker."""
        # Rows take turns on the device: those that are there may all go first.
        turns, now = len(member.in_flight) + 1, self._clock()
        deadline = now + turns * self._row_timeout_s
        member.turns.given(task.row, now)
        member.in_flight[task.row.id] = (task, deadline)
        member.has_worked = True
        self._first_deadline = min(self._first_deadline, deadline)

    def take_back(self, name: str, row_id: str, outcome: Outcome | None = None) -> Task | None:
        """A row has ended on a worker; None: the worker does not hold it any more.

        Args:
            name: of the worker.
            row_id: which row.
            outcome: with its times; None: there is none, the worker's code raised.
        """
        member = self._members.get(name)
        if member is None or row_id not in member.in_flight:
            return None
        member.turns.ended(row_id, outcome, self._clock())
        return member.in_flight.pop(row_id)[0]

    def with_room(self, limit: int) -> Iterator[WorkerState]:
        """Workers that hold fewer than `limit` rows, each as often as it has room.

        Emptiest first, a row each in turn, so that no worker starts with more than its share. A
        worker that is not given a row does not come again.
        """
        members = [m for m in self if len(m.in_flight) < limit and not m.isolating]
        for held in range(limit if members else 0):
            for member in members:
                if len(member.in_flight) == held:
                    yield member

    def overdue(self) -> list[WorkerState]:
        """Workers that hold a row past its deadline; each is named once."""
        now = self._clock()
        if now <= self._first_deadline:
            return []
        late = [m for m in self if any(deadline < now for _, deadline in m.in_flight.values())]
        for member in late:
            member.in_flight = {
                row_id: (task, math.inf) for row_id, (task, _) in member.in_flight.items()
            }
        deadlines = (deadline for m in self for _, deadline in m.in_flight.values())
        self._first_deadline = min(deadlines, default=math.inf)
        return late
