"""Limits of keys and of the server, attempts across restarts, and the end of old files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jobs.serve.retention import sweep
from jobs.serve.store.database import open_database
from jobs.serve.store.keys import KeyLimits
from jobs.serve.store.tables import files, tasks
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import State, new_id
from tests.jobs.serve.running import Running, config_for, running
from tests.jobs.serve.test_tasks import new

BODY: dict[str, Any] = {
    "app": "infsh/bytedance-uso",
    "input": {"prompt": "a cat", "width": 32, "height": 32},
}


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Running]:
    """Return a server whose tasks wait for ever."""
    with running(config_for(tmp_path, max_queued=3, max_body_mb=0.1), workers=0) as run:
        yield run


def key_with(server: Running, **limits: Any) -> dict[str, str]:
    _, secret = server.call(server.service.keys.create(new_id(), KeyLimits(**limits)))
    return {"Authorization": f"Bearer {secret}"}


def submit(server: Running, headers: dict[str, str] | None = None) -> Any:
    with server.client() as http:
        return http.post("/apps/run", json=BODY, headers=headers or {})


def test_a_full_queue_refuses(waiting: Running) -> None:
    waiting.call(fill(waiting, 3))
    answer = submit(waiting)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0


async def fill(server: Running, count: int, key: str = "k") -> None:
    for _ in range(count):
        await server.service.tasks.add(new(key))


def test_a_request_that_is_sent_again_is_held_back_by_no_limit(waiting: Running) -> None:
    sent = {"Idempotency-Key": "once"}
    first = submit(waiting, sent)
    waiting.call(fill(waiting, 2))
    again = submit(waiting, sent)
    assert (again.status_code, again.json()) == (200, first.json())
    assert submit(waiting, {"Idempotency-Key": "other"}).status_code == 429


def test_a_key_may_have_some_waiting_tasks(waiting: Running) -> None:
    limited = key_with(waiting, queued=0)
    answer = submit(waiting, limited)
    assert (answer.status_code, "0 waiting tasks" in answer.text) == (429, True)
    assert submit(waiting).status_code == 200


@pytest.mark.parametrize("limits", [{"queued": 3}, {}])
def test_requests_at_once_do_not_exceed_the_waiting_tasks(
    waiting: Running, limits: dict[str, int]
) -> None:
    limited = key_with(waiting, **limits)
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: submit(waiting, limited).status_code, range(24)))
    assert sorted(answers) == [200] * 3 + [429] * 21


def test_a_key_may_have_some_open_streams(waiting: Running) -> None:
    limited = key_with(waiting, streams=1)
    task_id = submit(waiting, limited).json()["data"]["id"]
    path = f"/tasks/{task_id}/stream"
    ways: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("POST", "/apps/run", {**BODY, "stream": True}),
        ("POST", "/apps/run", {**BODY, "wait": True}),
        ("POST", "/v1/images/generations", {"prompt": "a cat"}),
        (
            "POST",
            "/api/v3/bytedance/uso",
            {"reference_images": ["https://h/a.png"], "enable_sync_mode": True},
        ),
    ]
    with waiting.client() as http, waiting.client() as other:
        with other.stream("GET", path, headers=limited) as open_one:
            lines = open_one.iter_lines()  # its end would close the connection
            next(lines)
            for method, where, body in ways:
                answer = http.request(method, where, json=body, headers=limited)
                assert (answer.status_code, "1 open streams" in answer.text) == (429, True), where
            assert http.get(f"/tasks/{task_id}", headers=limited).status_code == 200
        other.close()
        give_up_at = time.monotonic() + 30
        while True:  # the server notices soon that the stream has gone
            with http.stream("GET", path, headers=limited) as again:
                if again.status_code == 200:
                    break
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
    assert waiting.call(count_tasks(waiting)) == 1  # a refused request leaves none


async def count_tasks(server: Running) -> int:
    return await server.service.tasks.count_waiting()


def test_uploads_at_once_do_not_exceed_the_space_of_a_key(server: Running) -> None:
    limited = key_with(server, stored_mb=1)

    def upload(_: int) -> int:
        with server.client() as http:
            return http.post("/files", files={"file": bytes(300_000)}, headers=limited).status_code

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(upload, range(12)))
    assert 1 <= answers.count(200) <= 3
    assert set(answers) == {200, 413}


def test_an_upload_without_an_announced_size_counts_as_stored(server: Running) -> None:
    limited = key_with(server, stored_mb=1)
    with server.client() as http:
        tickets = http.post("/files", json={"files": [{}, {}]}, headers=limited).json()["data"]
        answers = [http.put(each["upload_url"], content=bytes(600_000)) for each in tickets]
    assert [answer.status_code for answer in answers] == [204, 413]


def test_a_key_has_submits_a_minute(server: Running) -> None:
    limited = key_with(server, submits_per_min=2)
    answers = [submit(server, limited) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert answers[2].headers["x-ratelimit-remaining"] == "0"
    assert submit(server).status_code == 200


def test_a_key_has_a_space_for_files(server: Running) -> None:
    limited = key_with(server, stored_mb=1)
    ticket = {"files": [{"filename": "a.png", "size": 600_000}]}
    with server.client() as http:
        first, second = (http.post("/files", json=ticket, headers=limited) for _ in "ab")
    assert [first.status_code, second.status_code] == [200, 413]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/apps/run", "/api/v3/bytedance/uso", "/v1/images/generations"])
def test_a_body_is_bounded(waiting: Running, path: str, chunked: bool) -> None:
    def body() -> Iterator[bytes]:
        yield from [b" " * 50_000] * 3

    with waiting.client() as http:
        answer = http.post(path, content=body() if chunked else b" " * 100_001)
    assert answer.status_code == 413
    assert "a body may have 100,000 bytes" in json.dumps(answer.json())


def test_a_task_has_its_attempts_across_restarts(tmp_path: Path) -> None:
    async def claim() -> str:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            await store.add(new())
            for number in range(3):
                (task,) = await store.claim("interactive", 1)
                await store.start(task)
                if number < 2:
                    await store.requeue(task.id)
            return task.id

    task_id = asyncio.run(claim())
    with running(config_for(tmp_path, attempts=3)) as server:
        task = server.call(server.service.tasks.get(task_id))
        task = server.call(server.service.wait(task, 10))
    assert task.state is State.FAILED
    assert (task.error_code, task.attempts) == ("worker_lost", 3)


def test_a_cancel_is_carried_out_by_the_next_server(tmp_path: Path) -> None:
    async def cancel() -> str:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            await store.add(new())
            (task,) = await store.claim("interactive", 1)
            await store.start(task)
            await store.cancel(task.id)
            return task.id

    task_id = asyncio.run(cancel())
    with running(config_for(tmp_path), workers=0) as server:
        task = server.call(server.service.tasks.get(task_id))
        task = server.call(server.service.wait(task, 10))
    assert task.state is State.CANCELLED


def test_a_cancel_while_the_next_server_takes_a_task_back_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def claim() -> str:
        async with open_database(str(tmp_path / "uso.db")) as database:
            store = TaskStore(database)
            await store.add(new())
            (task,) = await store.claim("interactive", 1)
            return task.id

    requeue = TaskStore.requeue

    async def cancelled_first(store: TaskStore, task_id: str) -> bool:
        await store.cancel(task_id)
        return await requeue(store, task_id)

    monkeypatch.setattr(TaskStore, "requeue", cancelled_first)
    task_id = asyncio.run(claim())
    with running(config_for(tmp_path), workers=0) as server:
        task = server.call(server.service.tasks.get(task_id))
        task = server.call(server.service.wait(task, 10))
    assert task.state is State.CANCELLED


def test_old_tasks_and_files_are_deleted(server: Running) -> None:
    with server.client() as http:
        task = http.post("/apps/run", json={**BODY, "wait": True}).json()["data"]
        kept = http.post("/apps/run", json={**BODY, "wait": True}).json()["data"]
        uri = task["output"]["generated_image"]["uri"]
        assert http.get(uri).status_code == 200
        server.call(age(server, task["id"]))
        while server.call(sweep(server.service)):
            pass
        assert http.get(uri).status_code == 404
        assert http.get(f"/tasks/{task['id']}").status_code == 404
        assert http.get(f"/tasks/{kept['id']}").status_code == 200
    folder = Path(server.service.config.serve.files)
    assert not list(folder.rglob(f"*{task['id']}*"))
    assert list(folder.rglob(f"*{kept['id']}*"))


async def age(server: Running, task_id: str) -> None:
    async with server.database.writing() as connection:
        old = tasks.update().where(tasks.c.id == task_id).values(ended_at=1)
        await connection.execute(old)
        expired = files.update().where(files.c.task_id == task_id).values(expires_at=1)
        await connection.execute(expired)
