"""A `WorkerPool` of threads that can be told to die, hang, raise and fail to start.

It stands in for Ray actors where only the dispatcher is looked at: process death is played by
dropping everything that was on a worker and starting a new generation of it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipelines.dispatch.workers import Event, Finished, Lost, Raised, Ready, StartFailed
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.activity import Activity
from pipelines.worker.stylizer import Stylizer


class DiesError(Exception):
    """Raised by a row's work: the worker process dies."""


class HangsError(Exception):
    """Raised by a row's work: the row never ends."""


Work = Callable[[ManifestRow], Outcome]


@dataclass
class _Slot:
    generation: int = 0
    held: set[str] = field(default_factory=set)
    most_held: int = 0


class InProcessPool:
    """Workers played by threads; the next `failing_starts` starts fail.

    Without `room`, workers wait for a place to run. A `stylizer` is told of cancels and asked for
    its activity.
    """

    def __init__(
        self,
        workers: int,
        work: Work,
        *,
        failing_starts: int = 0,
        room: bool = True,
        stylizer: Stylizer | None = None,
    ) -> None:
        self._work = work
        self._stylizer = stylizer
        self.room = room
        self._events: queue.Queue[tuple[str, int, Event] | None] = queue.Queue()
        self._lock = threading.Lock()
        self.failing_starts = failing_starts
        self.slots = {f"w{n}": _Slot() for n in range(workers)}
        self.tries: Counter[str] = Counter()
        self.cancelled: list[tuple[str, str]] = []
        self.neighbours_at_death: dict[str, list[set[str]]] = {}
        for name in self.slots:
            self._start(name)

    @property
    def placed(self) -> int:
        return len(self.slots) if self.room else 0

    def find_room(self) -> None:
        """Place the workers that wait."""
        self.room = True
        for name in self.slots:
            self._start(name)

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        slot = self.slots[worker]
        for row in rows:
            with self._lock:
                self.tries[row.id] += 1
                slot.held.add(row.id)
                slot.most_held = max(slot.most_held, len(slot.held))
            args = (worker, slot.generation, row)
            threading.Thread(target=self._run, args=args, daemon=True).start()

    def wait(self, timeout_s: float) -> list[Event]:
        events: list[Event] = []
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                left = 0 if events else max(0.0, deadline - time.monotonic())
                item = self._events.get(timeout=left or 1e-4)
            except queue.Empty:
                return events
            if item is None:  # it was woken
                return events
            worker, generation, event = item
            if generation == self.slots[worker].generation:
                events.append(event)
                if isinstance(event, Lost | StartFailed):
                    self._replace(worker)

    def wake(self) -> None:
        self._events.put(None)

    def withdraw(self) -> None:
        return

    def cancel(self, worker: str, row_id: str) -> None:
        self.cancelled.append((worker, row_id))
        if self._stylizer is not None:
            self._stylizer.cancel(row_id)

    def kill(self, worker: str) -> None:
        generation = self.slots[worker].generation
        self._events.put((worker, generation, Lost(worker, "killed")))

    @property
    def head_lost(self) -> bool:
        return False

    def poll_activity(self) -> list[Activity]:
        return [] if self._stylizer is None else [self._stylizer.activity()]

    def _run(self, worker: str, generation: int, row: ManifestRow) -> None:
        slot = self.slots[worker]
        try:
            event: Event = Finished(worker, self._work(row))
        except DiesError:
            event = Lost(worker, "exit code 139")
            with self._lock:
                others = slot.held - {row.id}
                self.neighbours_at_death.setdefault(row.id, []).append(others)
        except HangsError:
            return
        except ValueError as error:
            event = Raised(worker, row.id, repr(error))
        with self._lock:
            slot.held.discard(row.id)
        self._events.put((worker, generation, event))

    def _start(self, worker: str) -> None:
        generation = self.slots[worker].generation
        if not self.room:
            return
        if self.failing_starts > 0:
            self.failing_starts -= 1
            event: Event = StartFailed(worker, "no such weights")
        else:
            event = Ready(worker, "cpu")
        self._events.put((worker, generation, event))

    def _replace(self, worker: str) -> None:
        slot = self.slots[worker]
        with self._lock:
            slot.generation += 1
            slot.held.clear()
        self._start(worker)
