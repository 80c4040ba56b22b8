"""Postgres that goes away, comes back, or is taken over by another server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from jobs.serve.errors import DatabaseTakenError, DatabaseUnavailableError
from jobs.serve.store.database import Database, open_database
from jobs.serve.store.tasks import TaskStore
from jobs.serve.task import State
from pipelines.errors import ConfigError
from tests.jobs.serve.running import Running, config_for, running
from tests.jobs.serve.test_limits import BODY
from tests.jobs.serve.test_tasks import new
from tests.postgres_server import PostgresServer, serve_postgres

pytestmark = pytest.mark.postgres

QUICK = {**BODY, "input": {**BODY["input"], "num_steps": 1}}
DROP = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, to stop and to kill."""
    with serve_postgres() as server:
        yield server


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true within 10 s")


def with_database(location: str, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_database(location) as database:
            await work(database)

    asyncio.run(run())


def test_a_lock_that_was_lost_is_taken_again(postgres_server: PostgresServer) -> None:
    location = postgres_server.new_database()

    async def work(database: Database) -> None:
        keeping = asyncio.create_task(database.keep())
        task = await TaskStore(database).add(new())
        postgres_server.sql(DROP, "postgres")
        await until(lambda: not database.owned)
        await until(lambda: database.owned)
        with pytest.raises(ConfigError, match="another `uso serve` uses it"):
            async with open_database(location):
                pass
        (claimed,) = await TaskStore(database).claim("interactive", 1)
        assert claimed.id == task.id
        assert not keeping.done()
        keeping.cancel()

    with_database(location, work)


def test_a_server_that_was_taken_over_writes_nothing_more(postgres_server: PostgresServer) -> None:
    location = postgres_server.new_database()

    async def work(database: Database) -> None:
        store = TaskStore(database)
        await store.add(new())
        (mine,) = await store.claim("interactive", 1)
        waiting = await store.add(new())
        postgres_server.sql(DROP, "postgres")
        async with open_database(location) as other:
            for attempt in (store.claim("interactive", 1), store.add(new()), store.start(mine)):
                with pytest.raises(DatabaseTakenError):
                    await attempt
            with pytest.raises(DatabaseTakenError):
                await store.complete(mine, ([], []), 5)
            (at_work,) = await TaskStore(other).at_work()
            assert (at_work.id, at_work.attempts) == (mine.id, 0)
            (claimed,) = await TaskStore(other).claim("interactive", 5)
            assert claimed.id == waiting.id
        with pytest.raises(DatabaseTakenError, match="another `uso serve` has taken"):
            await database.keep()

    with_database(location, work)


def test_a_take_over_waits_for_what_is_being_written(postgres_server: PostgresServer) -> None:
    location = postgres_server.new_database()

    async def take_over() -> list[str]:
        async with open_database(location) as other:
            return [task.id for task in await TaskStore(other).claim("interactive", 5)]

    async def work(database: Database) -> None:
        task = await TaskStore(database).add(new())
        postgres_server.sql(DROP, "postgres")
        async with database.writing():
            taking = asyncio.create_task(take_over())
            await asyncio.sleep(0.5)
            assert not taking.done()
        assert await taking == [task.id]

    with_database(location, work)


def test_a_url_may_hold_variables_and_options_of_libpq(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres_server.sql('CREATE DATABASE "a@b/c d"', "postgres")
    monkeypatch.setenv("DATABASE_NAME", "a@b/c d")
    port = postgres_server.port
    location = f"postgresql://uso@127.0.0.1:{port}/${{DATABASE_NAME}}?sslmode=prefer"

    async def work(database: Database) -> None:
        await TaskStore(database).add(new())

    with_database(location, work)
    assert postgres_server.sql("SELECT count(*) FROM tasks", "a@b/c d") == "1"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("postgresql://uso@127.0.0.1:{port}/absent", 'database "absent" does not exist'),
        ("postgresql://nobody:secret@127.0.0.1:{port}/x", 'role "nobody" does not exist'),
        ("postgresql://uso@127.0.0.1:1/x", "Connect call failed"),
        ("postgresql://uso:${{NOT_SET_AT_ALL}}@127.0.0.1/x", "NOT_SET_AT_ALL is not set"),
        ("mysql://u@h/x", "give the path of a file, or a URL postgresql://"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named(
    postgres_server: PostgresServer, location: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        with_database(location.format(port=postgres_server.port), lambda _: asyncio.sleep(0))
    assert str(caught.value).startswith("serve.database")
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_answer_is_an_error_in_time(postgres: PostgresServer) -> None:
    location = postgres.new_database()

    async def work(database: Database) -> None:
        store = TaskStore(database)
        task = await store.add(new())
        with postgres.halted():
            started = time.monotonic()
            attempts = [store.get(task.id) for _ in range(30)]  # more than there are connections
            results = await asyncio.gather(*attempts, return_exceptions=True)
            assert {type(result) for result in results} == {DatabaseUnavailableError}
            assert time.monotonic() - started < 40
        assert await store.get(task.id) == task

    with_database(location, work)


class Submits(threading.Thread):
    """Submits one task after another, and notes the answers."""

    def __init__(self, server: Running) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.refused: list[httpx2.Response] = []
        self.done = threading.Event()
        self._server = server

    def run(self) -> None:
        with self._server.client() as http:
            while not self.done.is_set():
                answer = http.post("/apps/run", json=QUICK)
                if answer.status_code == 200:
                    self.accepted.append(answer.json()["data"]["id"])
                else:
                    self.refused.append(answer)
                time.sleep(0.3)


@pytest.mark.parametrize("way", ["stopped", "killed", "crashed"])
def test_a_restart_of_postgres_loses_and_doubles_nothing(
    postgres: PostgresServer, tmp_path: Path, way: str
) -> None:
    end: dict[str, Callable[[], None]] = {
        "stopped": postgres.stop,
        "killed": postgres.kill,
        "crashed": lambda: postgres.stop("immediate"),
    }
    with running(config_for(tmp_path, database=postgres.new_database())) as server:
        submits = Submits(server)
        submits.start()
        while len(submits.accepted) < 5:
            time.sleep(0.02)
        end[way]()
        while len(submits.refused) < 5:
            time.sleep(0.02)
        ready = httpx2.get(f"{server.url}/readyz")
        assert (ready.status_code, ready.json()["reason"]) == (503, "the database does not answer")
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        postgres.start()
        before = len(submits.accepted)
        while len(submits.accepted) < before + 5:
            time.sleep(0.02)
        submits.done.set()
        submits.join(30)
        tasks = [wait_for_end(server, task_id) for task_id in submits.accepted]
    assert {task.state for task in tasks} == {State.COMPLETED}
    assert {answer.status_code for answer in submits.refused} == {503}
    assert "the server's database does not answer" in submits.refused[0].json()["detail"]
    assert int(submits.refused[0].headers["retry-after"]) > 0
    images = Counter(path.name for path in (tmp_path / "files").rglob("*.png"))
    # A commit whose answer was lost may have accepted a task that its client does not know of.
    assert set(images) >= {f"{task.id}.png" for task in tasks}
    assert set(images.values()) == {1}


def wait_for_end(server: Running, task_id: str) -> Any:
    task = server.call(server.service.tasks.get(task_id))
    return server.call(server.service.wait(task, 25))
