"""The end of files and tasks: by age, by bytes, and never under a task at work."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jobs.serve.errors import ApiError
from jobs.serve.retention import sweep
from jobs.serve.rows import row_of_task
from jobs.serve.service import Service
from jobs.serve.store.database import open_database
from jobs.serve.store.files import File
from jobs.serve.store.keys import KeyLimits
from jobs.serve.store.tables import deliveries, files
from jobs.serve.task import Drawing, NewTask, Output, Reference, Task
from pipelines.storage.storage import Storage
from tests.jobs.serve.running import config_for
from uso_core.families import describe_model

SIZE = 1000
HOURS_AGO = 7_200_000


def with_service(location: str, folder: Path, work: Any, **serve: Any) -> None:
    async def run() -> None:
        config = config_for(folder, database=location, **serve)
        async with open_database(location) as database:
            storage = Storage.at(config.serve.files)
            await work(
                await Service.create(
                    config, describe_model(config.model.source), database, storage
                ),
                storage,
            )

    asyncio.run(run())


async def ended(service: Service, storage: Storage, webhook: str | None = None) -> Task:
    """Return a task that has ended with an image of `SIZE` bytes."""
    new = NewTask(key_id="k", dialect="wavespeed", drawing=Drawing(), webhook=webhook)
    added = await service.tasks.add(new)
    await service.tasks.claim("interactive", 1)
    file = service.files.new("k", "output", "a.png", "image/png", size=SIZE, task_id=added.id)
    storage.write(f"images/{added.id}", bytes(SIZE))
    row = {column.name: getattr(file, column.name) for column in files.columns} | {
        "path": f"images/{added.id}"
    }
    output = Output(file_id=file.id, filename="a.png", content_type="image/png", size=SIZE)
    assert await service.tasks.complete(added, ([output], [row]), 5)
    return added


async def upload(service: Service, *, age_ms: int = HOURS_AGO) -> File:
    file = await service.files.put("k", "a.png", "image/png", bytes(SIZE))
    async with service.database.writing() as connection:
        old = files.update().where(files.c.id == file.id)
        await connection.execute(old.values(created_at=file.created_at - age_ms))
    return file


async def swept(service: Service) -> None:
    while await sweep(service):
        pass


def test_the_oldest_ended_tasks_go_if_there_are_too_many_bytes(
    location: str, tmp_path: Path
) -> None:
    async def work(service: Service, storage: Storage) -> None:
        tasks = []
        for _ in range(4):
            tasks.append(await ended(service, storage))
            await asyncio.sleep(0.002)
        await swept(service)
        left = [task for task in tasks if await service.tasks.get(task.id) is not None]
        assert left == tasks[2:]
        assert storage.list("images") == sorted(f"images/{task.id}" for task in left)
        for task in left:
            assert len(await service.files.of_task(task.id)) == 1

    with_service(location, tmp_path, work, keep_gb=2.5 * SIZE / 10**9)


def test_a_task_whose_end_was_not_told_stays(location: str, tmp_path: Path) -> None:
    async def work(service: Service, storage: Storage) -> None:
        task = await ended(service, storage, webhook="https://h/hook")
        await swept(service)
        assert await service.tasks.get(task.id) is not None
        async with service.database.writing() as connection:
            await connection.execute(deliveries.update().values(next_at=None))
        await swept(service)
        assert await service.tasks.get(task.id) is None

    with_service(location, tmp_path, work, keep_gb=SIZE / 2 / 10**9)


def test_uploads_go_unless_they_are_new_or_in_use(location: str, tmp_path: Path) -> None:
    async def work(service: Service, storage: Storage) -> None:
        unused, used = await upload(service), await upload(service)
        just_made = await upload(service, age_ms=0)
        drawing = Drawing(styles=[Reference(file_id=used.id)])
        task = await service.tasks.add(NewTask(key_id="k", dialect="wavespeed", drawing=drawing))
        await swept(service)
        found = [await service.files.find(each.id) for each in (unused, used, just_made)]
        assert [each is not None for each in found] == [False, True, True]
        assert len(storage.list("uploads")) == 2
        await service.tasks.cancel(task.id)
        await swept(service)
        assert await service.files.find(used.id) is None

    with_service(location, tmp_path, work, keep_gb=SIZE / 2 / 10**9)


def test_an_upload_that_expires_stays_for_its_waiting_task(location: str, tmp_path: Path) -> None:
    async def work(service: Service, _: Storage) -> None:
        file = await upload(service)
        drawing = Drawing(content=Reference(file_id=file.id), parameters={"seed": 1})
        task = await service.tasks.add(NewTask(key_id="k", dialect="wavespeed", drawing=drawing))
        async with service.database.writing() as connection:
            await connection.execute(files.update().values(expires_at=1))
        await swept(service)
        with pytest.raises(ApiError):
            await service.files.get(file.id)  # its URL has ended
        entry = await row_of_task(task, service.files)
        assert entry.row.content_image == bytes(SIZE)
        await service.tasks.cancel(task.id)
        await swept(service)
        assert await service.files.find(file.id, expired=True) is None

    with_service(location, tmp_path, work)


def test_bytes_whose_facts_were_not_written_go_with_their_ticket(
    location: str, tmp_path: Path
) -> None:
    async def work(service: Service, storage: Storage) -> None:
        file = service.files.new("k", "input", "a.png", "image/png")
        await service.files.announce(file)
        storage.write(f"uploads/{file.id[:2]}/{file.id}", b"a crash came after this")
        async with service.database.writing() as connection:
            await connection.execute(files.update().values(expires_at=1))
        await swept(service)
        assert storage.list("uploads") == []

    with_service(location, tmp_path, work)


def test_a_deletion_that_a_crash_has_cut_is_finished_later(tmp_path: Path) -> None:
    async def work(service: Service, storage: Storage) -> None:
        task = await ended(service, storage)
        (file,) = await service.files.of_task(task.id)
        storage.delete(str(file.path))
        async with service.database.writing() as connection:
            await connection.execute(files.update().values(expires_at=0))
        await swept(service)
        async with service.database.reading() as connection:
            assert await connection.scalar(sa.select(sa.func.count()).select_from(files)) == 0

    with_service(str(tmp_path / "uso.db"), tmp_path, work)


def test_inline_images_count_as_stored(tmp_path: Path) -> None:
    inline = "data:image/png;base64," + base64.b64encode(bytes(600_000)).decode()

    async def work(service: Service, _: Storage) -> None:
        key, _secret = await service.keys.create("limited", KeyLimits(stored_mb=1))
        await service.inputs.reference(inline, "style_image", key.id, "http://h")
        with pytest.raises(ApiError, match="this key may store 1 MB"):
            await service.inputs.reference(inline, "style_image", key.id, "http://h")

    with_service(str(tmp_path / "uso.db"), tmp_path, work)
