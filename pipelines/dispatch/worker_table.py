"""The table of ready workers and the rows on each."""

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
        in_flight: the rows on it, by id, each with its deadline.
        turns: the backlog of its device.
        isolating: True if it is set aside for rows that are retried alone.
        has_worked: True if it was ever given a row.
    """

    name: str
    in_flight: dict[str, tuple[Task, float]] = field(default_factory=dict)
    turns: DeviceBacklog = field(default_factory=DeviceBacklog)
    isolating: bool = False
    has_worked: bool = False

    @property
    def urgent(self) -> int:
        """Number of urgent rows on it."""
        return sum(task.row.is_urgent for task, _ in self.in_flight.values())


class WorkerTable:
    """Rows and deadlines of all workers; most calls look at one worker only."""

    def __init__(self, row_timeout_s: float, clock: Callable[[], float]) -> None:
        """Start without workers.

        Args:
            row_timeout_s: time-out of a row that is alone on its worker.
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
        """Number of rows on workers."""
        return sum(len(member.in_flight) for member in self)

    @property
    def idle(self) -> bool:
        """True if no row is on a worker."""
        return not any(member.in_flight for member in self)

    def join(self, name: str) -> None:
        """Add a ready worker."""
        self._members[name] = WorkerState(name)

    def leave(self, name: str) -> WorkerState | None:
        """Remove a worker; return None if it was not ready."""
        return self._members.pop(name, None)

    def give(self, member: WorkerState, task: Task) -> None:
        """Put a row on a worker."""
        # Rows take turns on the device, and all rows already there may go first.
        turns, now = len(member.in_flight) + 1, self._clock()
        deadline = now + turns * self._row_timeout_s
        if task.row.is_urgent:
            self._give_time(member)
        member.turns.given(task.row, now)
        member.in_flight[task.row.id] = (task, deadline)
        member.has_worked = True
        self._first_deadline = min(self._first_deadline, deadline)

    def _give_time(self, member: WorkerState) -> None:
        """Move the deadlines of a worker's rows, which one more row will overtake."""
        for row_id, (task, deadline) in member.in_flight.items():
            member.in_flight[row_id] = (task, deadline + self._row_timeout_s)

    def take_back(self, name: str, row_id: str, outcome: Outcome | None = None) -> Task | None:
        """Take a row that has ended off its worker; None: the worker no longer holds it.

        Args:
            name: the worker's name.
            row_id: the row's id.
            outcome: the outcome with its times; None: the worker's code raised.
        """
        member = self._members.get(name)
        if member is None or row_id not in member.in_flight:
            return None
        member.turns.ended(row_id, outcome, self._clock())
        return member.in_flight.pop(row_id)[0]

    def with_room(self, limit: int, at_once: int = 1) -> Iterator[WorkerState]:
        """Yield workers with fewer than `limit` rows, each once per free place.

        The emptiest come first, one row each in turn, so that no worker starts with more than its
        share. A worker that is given no row is not yielded again.

        Args:
            limit: most rows of a worker.
            at_once: free places that a worker needs to be yielded, unless it holds no row.
        """
        most = limit - at_once
        members = [
            m for m in self if (len(m.in_flight) <= most or not m.in_flight) and not m.isolating
        ]
        fewest = min((len(m.in_flight) for m in members), default=limit)
        for held in range(fewest, limit):
            for member in members:
                if len(member.in_flight) == held:
                    yield member

    def overdue(self) -> list[WorkerState]:
        """Return the workers that hold a row past its deadline, each once."""
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
