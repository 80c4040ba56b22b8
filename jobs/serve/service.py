"""The front desk: everything that the routes of all dialects do with tasks, keys and files."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.serve import notes
from jobs.serve.batch_runs import BatchRuns
from jobs.serve.changes import Changes
from jobs.serve.config import ServeConfig
from jobs.serve.errors import ApiError, DatabaseUnavailableError, unknown, wrong
from jobs.serve.inputs import Inputs, is_private_address, scheme_of
from jobs.serve.links import Links
from jobs.serve.metrics import Metrics
from jobs.serve.progress import Progress
from jobs.serve.quota import Quota
from jobs.serve.store.database import Database
from jobs.serve.store.files import File, FileStore
from jobs.serve.store.history import History
from jobs.serve.store.keys import Key, KeyStore
from jobs.serve.store.queue import Queue
from jobs.serve.store.replays import Replay
from jobs.serve.store.tasks import TaskStore
from jobs.serve.store.unended import Unended
from jobs.serve.task import NewTask, Output, State, Task
from pipelines.storage.storage import Storage
from uso_core.errors import InvalidRequestError
from uso_core.loading.source import ModelCard
from uso_core.request import MAX_SEED, Parameters, check_style_weights

_PAUSE_S = 60.0
_OUTAGE_S = 1.0
_MOST_SHOWN = 80  # characters of a wrong value
_MOST_REPEATED = 100_000  # characters of the input, in each answer about its task
_MOST_WEBHOOK = 8192


@dataclass(slots=True)
class Readiness:
    """The cause for which the server still waits.

    Attributes:
        ready: True once an actor holds the model.
        reason: the cause of a wait, in words.
    """

    ready: bool = False
    reason: str = "starting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of a running server.

    Attributes:
        card: facts about the model; its limits check requests.
        database: holds the state.
        progress: steps done of tasks on actors.
        cancels: tasks at work that the pool has to cancel.
        runs: batch runs that use the actors.
        wake: set when a task has been accepted or cancelled, for the pool.
    """

    config: ServeConfig
    card: ModelCard
    database: Database
    keys: KeyStore
    tasks: TaskStore
    history: History
    queue: Queue
    files: FileStore
    inputs: Inputs
    links: Links
    quota: Quota
    metrics: Metrics
    changes: Changes
    progress: Progress
    runs: BatchRuns
    cancels: set[str] = field(default_factory=set)
    readiness: Readiness = field(default_factory=Readiness)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def create(
        cls, config: ServeConfig, card: ModelCard, database: Database, storage: Storage
    ) -> Service:
        """Put the parts together."""
        files = FileStore(database, storage, config.serve.keep_days)
        metrics, changes = Metrics(Unended(database)), Changes()
        links = Links(await database.secret("links"))
        keys, tasks = KeyStore(database), TaskStore(database, metrics.note_ended)
        quota = Quota(keys, tasks, files)
        return cls(
            config=config,
            card=card,
            database=database,
            keys=keys,
            tasks=tasks,
            history=History(database),
            queue=tasks.queue,
            files=files,
            inputs=Inputs(files, links, quota, round(config.serve.max_upload_mb * 10**6)),
            links=links,
            quota=quota,
            metrics=metrics,
            changes=changes,
            progress=Progress(changes),
            runs=BatchRuns(changes),
        )

    def parameters(
        self, given: Mapping[str, Any], prefix: str = "", names: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Check the numbers of a request, and return all of them, with the final seed.

        Args:
            given: fields of `Parameters` by name; None stands for the default, and -1 as a seed
                for a random one.
            prefix: beginning of the names of fields in messages.
            names: the names that an API has for some fields, by field.

        Raises:
            ApiError: a value is outside the ranges of the model.
        """

        def refused(error: InvalidRequestError) -> ApiError:
            field = f"{prefix}{(names or {}).get(error.field, error.field)}"
            shown = repr(error.value)[:_MOST_SHOWN]
            return wrong(field, f"{shown} is not accepted; give {error.accepted}")

        chosen = self.card.limits.defaults
        chosen |= {name: value for name, value in given.items() if value is not None}
        for name, value in chosen.items():
            if isinstance(value, bool) != (name == "keep_size"):  # to Python, True is a number
                kind = "true or false" if name == "keep_size" else "a number"
                raise refused(InvalidRequestError(name, value, kind))
        if chosen.get("seed") in (None, -1):
            chosen["seed"] = secrets.randbelow(MAX_SEED - 8)
        parameters = Parameters(**chosen)
        try:
            parameters.check(self.card.limits)
        except InvalidRequestError as error:
            raise refused(error) from error
        return {name: getattr(parameters, name) for name in Parameters.__dataclass_fields__}

    def style_weights(self, given: object, num_styles: int) -> tuple[float, ...] | None:
        """Check the weights of styles.

        Raises:
            ApiError: they are not one number for each style, within the range of the model.
        """
        if given is None:
            return None
        if not isinstance(given, list):
            raise ApiError(422, "style_weights: give a list of numbers")
        try:
            check_style_weights(given, num_styles, self.card.limits)
        except InvalidRequestError as error:
            raise ApiError(422, str(error)) from error
        return tuple(float(each) for each in given)

    async def accept(self, key: Key, new: NewTask, replay: Replay | None = None) -> Task:
        """Accept a task, which is then on disk, and wake the pool.

        Args:
            key: the key that asks.
            new: the task.
            replay: the idempotency key of the request, if it has one.

        Raises:
            ApiError: too many tasks wait, the webhook is not allowed, or the idempotency key was
                used with another body.
        """
        self.check_webhook(new.webhook)
        shown = json.dumps([new.given, new.extras], ensure_ascii=False)
        if len(shown) > _MOST_REPEATED:
            message = f"the input without its images has over {_MOST_REPEATED:,} characters"
            raise ApiError(422, message)
        # A request that is sent again adds no task, so no limit holds it back.
        if replay is not None:
            earlier = await self.tasks.find_earlier(key.id, replay)
            if earlier is not None:
                return earlier
        if await self.tasks.count_waiting() + self.quota.num_coming >= self.config.serve.max_queued:
            retry = {"Retry-After": "30"}
            raise ApiError(429, "too many tasks wait; try again later", headers=retry)
        async with self.quota.submitting(key):
            task = await self.tasks.add(new, replay)
        notes.note(task_id=task.id)
        self.metrics.note_accepted(key.prefix)
        self.wake.set()
        return task

    def check_webhook(self, url: str | None) -> None:
        """Raise `ApiError` unless a webhook may be sent to a URL."""
        if url is None:
            return
        schemes = ("https", "http") if self.config.serve.allow_http_webhooks else ("https",)
        if scheme_of(url) not in schemes:
            begins = " or ".join(f"{scheme}://" for scheme in schemes)
            raise wrong("webhook", f"give a URL that begins with {begins} and a host")
        if len(url) > _MOST_WEBHOOK or not url.isprintable():
            reason = f"a URL may have {_MOST_WEBHOOK:,} characters, all of them visible"
            raise wrong("webhook", reason)
        if not self.config.fetch.allow_private_networks and is_private_address(url):
            raise wrong("webhook", "the address of the receiver is not public")

    async def task(self, task_id: str, key: Key) -> Task:
        """Return a task of a key.

        Raises:
            ApiError: there is none.
        """
        task = await self.tasks.get(task_id, key.id)
        if task is None:
            raise unknown("task")
        return task

    async def wait(self, task: Task, timeout_s: float) -> Task:
        """Wait until a task has ended, or for `timeout_s`, and return it as it is then.

        The task is accepted, so an outage of the database does not end the wait.
        """
        give_up_at = time.monotonic() + timeout_s
        with self.quota.open(task.key_id), self.changes.watching(task.id) as watch:
            while True:
                pause_s = _PAUSE_S
                try:
                    task = await self.tasks.get(task.id) or task
                except DatabaseUnavailableError:
                    pause_s = _OUTAGE_S
                left = give_up_at - time.monotonic()
                if task.state.ended or left <= 0 or self.changes.closing:
                    return task
                await watch.changed(min(left, pause_s))

    async def cancel(self, task: Task) -> Task:
        """Cancel a task: at once while it waits, else at its next step. An ended one stays."""
        changed = await self.tasks.cancel(task.id)
        task = await self.tasks.get(task.id) or task
        if task.state is State.CANCELLING:
            self.cancels.add(task.id)
        if changed:
            self.changes.tell(task.id)
            self.wake.set()
        return task

    async def files_of(self, task: Task) -> list[File]:
        """Return the uploads that a task uses, and its images; without expired ones."""
        references = [task.drawing.content, *task.drawing.styles]
        ids = [each.file_id for each in references if each is not None and each.file_id]
        found = [file for file in [await self.files.find(each) for each in ids] if file is not None]
        return found + await self.files.of_task(task.id)

    async def delete(self, task: Task, *, with_files: bool) -> None:
        """Delete a task that has ended, and its images if asked."""
        await self.tasks.delete([task.id])
        if with_files:
            await self.files.delete(await self.files.of_task(task.id))
        self.changes.tell(task.id)

    def url(self, output: Output, task: Task, base_url: str) -> str:
        """Return the URL of an image, which stays the same until it expires."""
        ended_s = (task.ended_at or task.created_at) // 1000
        expires_at = ended_s + round(self.config.serve.keep_days * 86_400)
        return self.links.read(base_url, output.file_id, output.filename, expires_at)

    def urls(self, task: Task, base_url: str) -> Sequence[str]:
        """Return the URLs of all images of a task."""
        return [self.url(output, task, base_url) for output in task.outputs]
