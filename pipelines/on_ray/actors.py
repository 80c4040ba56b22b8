"""Ray actors as a `WorkerPool`.

The pool replaces a dead actor by a new one; Ray never restarts it (`max_restarts=0`). With restarts
left to Ray, a constructor that crashes is repeated for ever without a sign to the driver (seen with
Ray 2.60: 24 times in 12 s), and after a kill the old process can still answer a call.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.dispatch.workers import (
    Event,
    Finished,
    Lost,
    Raised,
    Ready,
    StartFailed,
    WorkerEnv,
    WorkerTelemetry,
)
from pipelines.on_ray.head_watch import HeadWatch
from pipelines.rows import ManifestRow
from pipelines.worker.activity import Activity

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray

from pipelines.on_ray.reply import Reply
from pipelines.on_ray.row_actor import RowActor, RowWorker
from pipelines.on_ray.worker_errors import reason_of

if TYPE_CHECKING:
    from pipelines.config.cluster import StylizeConfig
    from pipelines.worker.spec import StylizerSpec

logger = logging.getLogger(__name__)

_NO_TELEMETRY = WorkerTelemetry()
_ASKED_AT_ONCE = 64  # actors per poll of activity: a call costs the driver 0.2 ms
_MOST_BYTES = 64 * 2**10  # of several rows in one call: Ray sends larger ones through its store
_NO_ROWS = pickle.dumps((), pickle.HIGHEST_PROTOCOL)
_SPARE_THREADS = 1  # beside one per row, so that an actor answers while it works on rows


@dataclass(slots=True)
class _Slot:
    """The place of one worker; its actor is replaced when it dies."""

    actor: Any
    generation: int = 0
    placed: bool = False
    activity: Activity | None = None
    asked: bool = False  # True while a call for its activity is unanswered
    calls: int = 0  # with rows, unanswered
    rows: set[str] = field(default_factory=set)  # given, and not ended


class RayPool:
    """Stylizer actors, all created at once; each is `Ready` once its model is loaded.

    Results arrive by callback, so that the driver's cost per row is independent of the number of
    rows in flight; with `ray.wait` it grows.
    """

    def __init__(
        self,
        spec: StylizerSpec,
        config: StylizeConfig,
        env: WorkerEnv,
        make: Callable[[StylizerSpec], RowWorker],
        telemetry: WorkerTelemetry = _NO_TELEMETRY,
        *,
        urgent_rows: int = 0,
    ) -> None:
        """Create the actors.

        Args:
            spec: each worker is made from it.
            config: number and resources of the actors.
            env: their environment variables.
            make: makes the worker in an actor's process.
            telemetry: settings of their logs and metrics.
            urgent_rows: urgent rows that an actor takes in addition to its other rows.
        """
        self._spec = spec
        self._secrets = env.secret
        self._telemetry = telemetry
        self._make = make
        self._events: queue.SimpleQueue[tuple[str, int, Event | Reply] | None]
        self._events = queue.SimpleQueue()  # None ends a wait
        self._actor_class = ray.remote(RowActor).options(
            num_gpus=config.gpus_per_actor,
            num_cpus=config.cpus_per_actor,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=config.most_rows_in_flight + urgent_rows + _SPARE_THREADS,
            # Without a runtime environment Ray starts a process in half the time: it keeps spare
            # ones, and starts the others directly rather than through another Python.
            runtime_env={"env_vars": dict(env.plain)} if env.plain else None,
        )
        self._unheard: set[str] = set()  # workers that have rows and perhaps no call
        self._slots: dict[str, _Slot] = {}
        for number in range(config.max_actors):
            name = f"stylizer-{number}"
            self._slots[name] = _Slot(self._new_actor())
            self._load(name)
        self._next_asked = deque(self._slots.values())
        self._head = HeadWatch(ray.get_runtime_context().gcs_address)

    @property
    def placed(self) -> int:
        """Number of actors that have a process."""
        return sum(slot.placed for slot in self._slots.values())

    @property
    def head_lost(self) -> bool:
        """True if the Ray head is lost, and its actors with it."""
        return self._head.lost

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Give rows to a ready worker, in one call unless they are large."""
        given = pickle.dumps(rows, pickle.HIGHEST_PROTOCOL)
        if len(given) > _MOST_BYTES and len(rows) > 1:
            for row in rows:
                self.submit(worker, [row])
        else:
            self._call(worker, rows, given)

    def wait(self, timeout_s: float) -> list[Event]:
        """Return events in order; create a replacement for each dead worker on the way."""
        while self._unheard:
            worker = self._unheard.pop()
            if self._slots[worker].rows and not self._slots[worker].calls:
                self._call(worker, (), _NO_ROWS)
        events: list[Event] = []
        try:
            item = self._events.get(timeout=timeout_s)
            while True:
                if item is not None:
                    events.extend(self._accept(*item))
                item = self._events.get_nowait()
        except queue.Empty:
            return events

    def wake(self) -> None:
        """Let `wait` return at once."""
        self._events.put(None)

    def withdraw(self) -> None:
        """Do nothing: an actor begins its rows at once."""

    def cancel(self, worker: str, row_id: str) -> None:
        """Let a worker end a row at its next step."""
        self._slots[worker].actor.cancel.remote(row_id)

    def kill(self, worker: str) -> None:
        """Kill a worker's process at once."""
        slot = self._slots[worker]
        ray.kill(slot.actor, no_restart=True)
        self._events.put((worker, slot.generation, Lost(worker, "killed: a row was overdue")))

    def poll_activity(self) -> list[Activity]:
        """Return the last known activity of each worker; ask some for news without waiting."""
        for _ in range(min(_ASKED_AT_ONCE, len(self._next_asked))):
            slot = self._next_asked[0]
            self._next_asked.rotate(-1)
            if not slot.asked:  # calls must not pile up for an actor that waits for its node
                self._ask_activity(slot)
        return [slot.activity for slot in self._slots.values() if slot.activity is not None]

    def close(self) -> None:
        """Kill all workers."""
        self._head.close()
        for slot in self._slots.values():
            slot.generation += 1  # later answers are ignored
            ray.kill(slot.actor, no_restart=True)

    def _accept(self, worker: str, generation: int, said: Event | Reply) -> Iterator[Event]:
        slot = self._slots[worker]
        if generation != slot.generation:
            return  # of an actor that is gone: its rows are retried elsewhere
        if isinstance(said, Reply):
            slot.calls -= 1
            self._unheard.add(worker)
        for event in said.events(worker) if isinstance(said, Reply) else [said]:
            if isinstance(event, Finished):
                slot.rows.discard(event.outcome.row_id)
            elif isinstance(event, Raised):
                slot.rows.discard(event.row_id)
            elif isinstance(event, Lost | StartFailed):
                self._replace(worker)
            yield event

    def _replace(self, worker: str) -> None:
        slot = self._slots[worker]
        ray.kill(slot.actor, no_restart=True)  # it may be unreachable rather than dead
        slot.generation += 1
        slot.actor, slot.placed = self._new_actor(), False
        slot.calls, slot.rows = 0, set()
        self._load(worker)

    def _call(self, worker: str, rows: Sequence[ManifestRow], given: bytes) -> None:
        slot = self._slots[worker]
        generation, row_ids = slot.generation, [row.id for row in rows]

        def on_done(future: Any) -> None:  # noqa: ANN401 - a concurrent.futures.Future of Any
            error = future.exception()
            ended = () if error is not None else future.result()
            self._events.put((worker, generation, Reply(row_ids, ended, error)))

        slot.calls += 1
        slot.rows.update(row_ids)
        slot.actor.work.remote(given).future().add_done_callback(on_done)

    def _new_actor(self) -> Any:  # noqa: ANN401 - Ray's handle of an actor
        return self._actor_class.remote(self._secrets, self._telemetry)

    @staticmethod
    def _ask_activity(slot: _Slot) -> None:
        def on_done(future: Any) -> None:  # noqa: ANN401 - a concurrent.futures.Future of Any
            slot.activity = None if future.exception() else future.result()
            slot.asked = False

        slot.asked = True
        slot.actor.activity.remote().future().add_done_callback(on_done)

    def _load(self, worker: str) -> None:
        slot = self._slots[worker]
        generation = slot.generation

        def on_placed(future: Any) -> None:  # noqa: ANN401 - a concurrent.futures.Future of Any
            if slot.generation == generation:
                slot.placed = future.exception() is None

        def on_done(future: Any) -> None:  # noqa: ANN401 - a concurrent.futures.Future of Any
            error = future.exception()
            event: Event = (
                Ready(worker, future.result().device)
                if error is None
                else StartFailed(worker, reason_of(error))
            )
            self._events.put((worker, generation, event))

        slot.actor.place.remote().future().add_done_callback(on_placed)
        slot.actor.load.remote(self._make, self._spec).future().add_done_callback(on_done)
