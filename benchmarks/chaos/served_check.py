"""Compares a server's database and files with what its clients and receivers have seen."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from PIL import Image

from benchmarks.chaos.client import Client
from benchmarks.chaos.receiver import Receiver
from benchmarks.chaos.served import Served
from jobs.serve.store.database import open_database
from jobs.serve.store.tables import events, files, tasks
from jobs.serve.store.task_rows import task_of
from jobs.serve.task import State, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The state at the end of a round.

    Attributes:
        tasks: number of accepted tasks.
        states: number of tasks in each state.
        lost: accepted tasks that are not there, have not ended, or failed.
        doubled: tasks with two ends, two results, or of one request.
        untold: ended tasks whose webhook was never delivered.
        others: descriptions of all other violations.
        webhooks: number of webhooks that were answered with 200.
        refused: number of webhooks that the receiver has refused.
        unanswered: number of requests that were refused, or had no answer.
    """

    tasks: int
    states: Counter[str]
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    untold: tuple[str, ...]
    others: tuple[str, ...]
    webhooks: int
    refused: int
    unanswered: int

    @property
    def violations(self) -> list[str]:
        """Descriptions of all violations."""
        return [
            *(f"task {i} is lost" for i in self.lost),
            *(f"task {i} is doubled" for i in self.doubled),
            *(f"the end of task {i} was not told" for i in self.untold),
            *self.others,
        ]

    @property
    def summary(self) -> str:
        """The numbers in one line."""
        states = ", ".join(f"{count} {name}" for name, count in sorted(self.states.items()))
        return (
            f"{self.tasks} tasks accepted ({states}; {self.unanswered} requests refused or without "
            f"an answer): {len(self.lost)} lost, {len(self.doubled)} doubled, {self.webhooks} "
            f"webhooks delivered ({self.refused} refused at first), {len(self.untold)} not told, "
            f"{len(self.others)} other violations"
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of the database."""

    tasks: dict[str, Task]
    ends: Counter[str]  # id of a task → times that it has ended
    files: list[tuple[str, str, str]]  # id of a task, path, hash


def check_served(served: Served, client: Client, receiver: Receiver) -> Findings:
    """Compare, after the server has ended."""
    rows = asyncio.run(_rows(served.database))
    ended = {i for i, task in rows.tasks.items() if task.state.ended}
    good = {i for i in ended if rows.tasks[i].state is not State.FAILED}
    images = Counter(task_id for task_id, _, _ in rows.files)
    twice = {i for i in rows.tasks if rows.ends[i] > 1 or images[i] > 1}
    return Findings(
        tasks=client.count,
        states=Counter(task.state.name.lower() for task in rows.tasks.values()),
        lost=tuple(sorted(client.ids - good)),
        doubled=tuple(sorted(twice | (rows.tasks.keys() - client.ids))),
        untold=tuple(sorted(ended - receiver.told)),
        others=(
            *_wrong_files(rows, served.files),
            *_wrong_pixels(rows, client, served.files),
            *_wrongly_told(rows, receiver),
            *(f"cancelled task {i} did not end so" for i in _not_cancelled(rows, client)),
        ),
        webhooks=sum(map(len, receiver.accepted.values())),
        refused=receiver.refused,
        unanswered=client.refused,
    )


async def _rows(location: str) -> _Rows:
    async with open_database(location) as database, database.reading() as connection:
        found = [task_of(row) for row in (await connection.execute(sa.select(tasks))).all()]
        ends = sa.select(events.c.task_id).where(events.c.state >= State.COMPLETED)
        outputs = sa.select(files.c.task_id, files.c.path, files.c.sha256)
        outputs = outputs.where(files.c.role == "output")
        return _Rows(
            {task.id: task for task in found},
            Counter((await connection.execute(ends)).scalars()),
            [tuple(row) for row in (await connection.execute(outputs)).all()],
        )


def _wrong_files(rows: _Rows, folder: Path) -> list[str]:
    """Return what differs between the images and their rows."""
    wrong = []
    for task_id, path, sha256 in rows.files:
        image = folder / path
        if not image.exists() or hashlib.sha256(image.read_bytes()).hexdigest() != sha256:
            wrong.append(f"the image of task {task_id} is not as recorded")
    with_image = {task_id for task_id, _, _ in rows.files}
    completed = {i for i, task in rows.tasks.items() if task.state is State.COMPLETED}
    wrong += [f"task {i} is completed, and has no image" for i in completed - with_image]
    wrong += [f"task {i} has an image, and is not completed" for i in with_image - completed]
    return wrong


def _wrong_pixels(rows: _Rows, client: Client, folder: Path) -> list[str]:
    """Return an entry for each seed whose images have several contents."""
    pixels: defaultdict[int, set[bytes]] = defaultdict(set)
    for task_id, path, _ in rows.files:
        with Image.open(folder / path) as image:
            pixels[client.accepted.get(task_id, -1)].add(image.tobytes())
    return [
        f"images of seed {seed} differ" for seed, all_of_it in pixels.items() if len(all_of_it) > 1
    ]


def _wrongly_told(rows: _Rows, receiver: Receiver) -> list[str]:
    wrong = []
    for task_id, bodies in receiver.accepted.items():
        task = rows.tasks.get(task_id)
        state = "" if task is None or not task.state.ended else task.state.name.lower()
        if {body["status_text"] for body in bodies} != {state}:
            wrong.append(f"the end of task {task_id} was told wrongly")
    return wrong


def _not_cancelled(rows: _Rows, client: Client) -> list[str]:
    """Return tasks whose cancel was answered, and that ended otherwise, or not at all."""
    return [i for i in client.cancels if i in rows.tasks and not rows.tasks[i].state.ended]
