"""The actors of the server: a thread feeds them the tasks that the event loop claims."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from itertools import chain
from typing import Any, TypeAlias

from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from jobs.serve.announced_pool import AnnouncedPool
from jobs.serve.batch_runs import is_of_a_run
from jobs.serve.cancels import pass_on_cancels
from jobs.serve.errors import ApiError, DatabaseUnavailableError
from jobs.serve.lanes import RowLane
from jobs.serve.rows import message_of, outputs_of, row_of_task
from jobs.serve.service import Service
from jobs.serve.store.tasks import Images, outcome_ms
from jobs.serve.task import Lane, Task
from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import URGENT_ROWS, DispatchPolicy, Settled
from pipelines.dispatch.workers import WakeablePool
from pipelines.errors import StorageError
from pipelines.rows import ManifestRow, Outcome
from uso_core.errors import UsoError
from uso_core.families import family_of

logger = logging.getLogger(__name__)

_STEP_S = 0.05
_LOOK_S = 1.0
_RESTART_S = 5.0
_STEPS_EVERY_S = 0.4  # between two questions for the steps done
_UNTIL_THE_DATABASE_ANSWERS = AsyncRetrying(
    retry=retry_if_exception_type(DatabaseUnavailableError), wait=wait_fixed(_LOOK_S)
)


Actors: TypeAlias = Callable[[Callable[[str], None]], AbstractContextManager[WakeablePool]]
"""Yields workers inside a block; its argument takes the cause of each wait, in words."""


class Pool:
    """Draws the tasks of a service, until it is stopped.

    Tasks that are at work when the server dies are claimed again by the next one.
    """

    def __init__(self, service: Service, actors: Actors) -> None:
        """Draw with the workers that `actors` yields; it is called again after a failure."""
        self._service = service
        self._actors = actors
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Lane, RowLane] = {"interactive": RowLane(), "batch": service.runs.lane}
        self._look_at = 0.0  # next question for steps; of the thread alone
        self._tasks: dict[str, Task] = {}  # claimed and not settled; of the event loop alone
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pool", daemon=True)
        self._settling: set[asyncio.Task[None]] = set()
        self._bug: BaseException | None = None
        self._unsure = True  # tasks may be at work in the database that this pool does not have

    async def run(self) -> None:
        """Claim tasks for the actors until this coroutine is cancelled.

        A bug in the thread is raised here.
        """
        self._thread.start()
        while not self._stopping.is_set():
            if self._bug is not None:
                raise self._bug
            self._service.wake.clear()
            self._service.runs.end_left()
            try:
                await self._claim_all()
            except DatabaseUnavailableError as error:
                if not self._unsure:
                    logger.warning("database_unavailable error=%s", error)
                self._unsure = True  # the claim may have been committed all the same
            # Without `wait_for`, which starts a task, and loses some cancels before Python 3.12.
            look = self._loop.call_later(_LOOK_S, self._service.wake.set)
            await self._service.wake.wait()
            look.cancel()

    async def stop(self, grace_s: float) -> None:
        """Give the rows on the actors `grace_s` to end, and let the others wait in the database."""
        self._stopping.set()
        for lane in self._lanes.values():
            lane.close()
        await asyncio.to_thread(self._thread.join, grace_s)
        if self._settling:
            await asyncio.wait(self._settling, timeout=grace_s)

    # In the event loop

    async def _claim_all(self) -> None:
        if not self._service.database.owned:
            return
        if self._unsure:
            await self._take_back()
            self._unsure = False
        for lane in ("interactive", "batch"):
            await self._claim(lane)

    async def _claim(self, lane: Lane) -> None:
        stylize = self._service.config.stylize
        on_an_actor = URGENT_ROWS if lane == "interactive" else stylize.most_rows_in_flight
        claimed = sum(task.lane == lane for task in self._tasks.values())
        room = 2 * stylize.max_actors * on_an_actor - claimed
        if room <= 0 or not self._service.readiness.ready:
            return
        found = await self._service.tasks.claim(lane, room, await self._room_of_keys())
        self._tasks |= {task.id: task for task in found}
        for number, task in enumerate(found):
            self._service.changes.tell(task.id)
            try:
                await self._enqueue(lane, task)
            except DatabaseUnavailableError:
                for left in found[number:]:
                    self._tasks.pop(left.id, None)
                raise

    async def _enqueue(self, lane: Lane, task: Task) -> None:
        try:
            entry = await row_of_task(task, self._service.files)
        except (ApiError, StorageError) as error:
            await self._fail(task, "uri_not_found", str(error))
            return
        self._lanes[lane].add([entry])

    async def _room_of_keys(self) -> dict[str, int]:
        """Return the number of further tasks that each key with a limit may have at work."""
        limits = await self._service.keys.limits_at_work()
        at_work = Counter(task.key_id for task in self._tasks.values()) if limits else {}
        return {key_id: most - at_work.get(key_id, 0) for key_id, most in limits.items()}

    async def _settled(self, settled: Settled) -> None:
        task = self._tasks.get(settled.outcome.row_id)
        if task is None:
            return
        try:
            await self._end(task, settled.outcome)
        except DatabaseUnavailableError:
            await _UNTIL_THE_DATABASE_ANSWERS(self._end, task, settled.outcome)

    async def _end(self, task: Task, outcome: Outcome) -> None:
        service = self._service
        if outcome.cancelled:
            await service.tasks.cancelled(task.id)
            self._done(task)
            return
        # A failed row has images only if the safety check has withheld some: they are blurred.
        images = outputs_of(task, outcome, service.config.serve.format, service.files)
        if outcome.failure is not None:
            await self._fail(task, outcome.failure.code, outcome.failure.message, images)
            return
        if not await service.tasks.complete(task, images, outcome_ms(outcome)):
            await service.tasks.cancelled(task.id)  # its cancel came too late for the actor
        self._done(task)

    async def _fail(self, task: Task, code: str, message: str, images: Images = ((), ())) -> None:
        message = await message_of(task, message, self._service.files)
        if not await self._service.tasks.fail(task.id, code, message, images):
            await self._service.tasks.cancelled(task.id)
        self._done(task)

    def _done(self, task: Task) -> None:
        self._tasks.pop(task.id, None)
        self._service.cancels.discard(task.id)
        self._service.changes.tell(task.id)
        self._service.wake.set()

    async def _given(self, task_id: str) -> None:
        task = self._tasks.get(task_id)
        if task is None:
            return
        with suppress(DatabaseUnavailableError):  # its end will be noted, and matters more
            await self._service.tasks.start(task)
        self._service.changes.tell(task_id)

    async def _take_back(self) -> None:
        """Let tasks at work wait again that this pool does not have, or end them.

        An earlier server had them, or actors that were lost, or their claim was committed although
        the database did not answer.
        """
        tasks, most = self._service.tasks, self._service.config.serve.attempts
        for task in await tasks.at_work(without=list(self._tasks)):
            if task.attempts >= most:
                message = f"the server or its actors ended {most} times during this task"
                changed = await tasks.fail(task.id, "worker_lost", message)
            else:
                changed = await tasks.requeue(task.id)
                if changed:
                    logger.info("task_requeued task_id=%s", task.id)
            if not changed:  # its cancel was asked for, and no actor has it
                await tasks.cancelled(task.id)
            self._service.changes.tell(task.id)

    async def _give_back(self) -> None:
        self._lanes["interactive"].clear()
        self._lanes["batch"].clear()
        self._service.runs.give_back()
        self._tasks.clear()
        self._unsure = True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a coroutine in the event loop; callable from the thread."""

        def start() -> None:
            started = self._loop.create_task(work)
            self._settling.add(started)
            started.add_done_callback(self._ended)

        self._loop.call_soon_threadsafe(start)

    def _ended(self, work: asyncio.Task[None]) -> None:
        self._settling.discard(work)
        if not work.cancelled() and work.exception() is not None:
            self._bug = work.exception()  # `run` raises it
            self._service.wake.set()

    # In the thread

    def _work(self) -> None:
        try:
            while not self._stopping.is_set():
                self._serve_until_it_fails()
        except BaseException as error:  # noqa: BLE001 (`run` raises it)
            self._bug = error
            self._loop.call_soon_threadsafe(self._service.wake.set)

    def _serve_until_it_fails(self) -> None:
        try:
            self._serve()
        except UsoError as error:  # e.g. no Ray, no GPU; its end must not end the server
            logger.error("pool_failed error=%s", error)  # noqa: TRY400 (no trace for users)
            self._ready(False, str(error))
            self._start(self._give_back())
            self._stopping.wait(_RESTART_S)

    def _serve(self) -> None:
        with self._actors(lambda reason: self._ready(False, reason)) as pool:
            self._dispatch(pool)

    def _dispatch(self, pool: WakeablePool) -> None:
        config = self._service.config
        source = config.model.source
        encoding = family_of(source).dimensions(source).encoding
        policy = DispatchPolicy.from_config(config.stylize, encoding)
        announced = AnnouncedPool(pool, self._announce)
        dispatcher = Dispatcher(announced, self._lanes["batch"], policy)
        dispatcher.put_first(self._lanes["interactive"])
        for lane in self._lanes.values():
            lane.on_change = pool.wake
        give_up_at: float | None = None
        while give_up_at is None or (time.monotonic() < give_up_at and not dispatcher.done):
            cancels = pass_on_cancels(self._service, self._lanes.values(), dispatcher)
            for settled in chain(dispatcher.step(_STEP_S), cancels):
                self._take(settled)
            self._ask_steps(pool)
            if dispatcher.workers_ready and not self._service.readiness.ready:
                self._ready(True, "")
            if self._stopping.is_set() and give_up_at is None:
                give_up_at = time.monotonic() + config.ray.stop_grace_s
                dispatcher.drain()

    def _announce(self, row: ManifestRow) -> None:
        if not is_of_a_run(row):
            self._start(self._given(row.id))

    def _take(self, settled: Settled) -> None:
        if is_of_a_run(settled.entry.row):
            self._loop.call_soon_threadsafe(self._service.runs.settle, settled)
        else:
            self._start(self._settled(settled))

    def _ask_steps(self, pool: WakeablePool) -> None:
        """Take what the actors last told of their work, and ask again."""
        now = time.monotonic()
        if now < self._look_at or not (self._tasks or len(self._service.runs)):
            return
        self._look_at = now + _STEPS_EVERY_S
        told = pool.poll_activity()
        steps = {row_id: done for each in told for row_id, done in each.steps.items()}
        self._loop.call_soon_threadsafe(self._service.progress.note, steps)
        self._loop.call_soon_threadsafe(self._service.runs.note_activity, told)

    def _ready(self, ready: bool, reason: str) -> None:
        readiness = self._service.readiness
        readiness.ready, readiness.reason = ready, reason
        self._loop.call_soon_threadsafe(self._service.wake.set)
