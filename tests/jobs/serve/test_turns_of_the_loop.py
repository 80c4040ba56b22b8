"""Requests and commits start no asyncio tasks: each costs turns of the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jobs.serve.store.inline import InlineDatabase
from tests.jobs.serve.inline_files import add, with_file
from tests.jobs.serve.running import config_for, running


class Counted:
    """Counts the tasks that a loop starts."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.names: list[str] = []
        loop.set_task_factory(self._make)

    def _make(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        self.names.append(work.__qualname__)
        return asyncio.Task(work, loop=loop, **options)


def test_a_durable_commit_starts_no_task(tmp_path: Path) -> None:
    async def work(database: InlineDatabase) -> None:
        counted = Counted(asyncio.get_running_loop())
        for number in range(3):
            await add(database, number)
        assert counted.names == []

    with_file(tmp_path / "a.db", work)


@pytest.mark.parametrize("path", ["/apps/run", "/api/v3/bytedance/uso"])
def test_a_body_starts_no_task(tmp_path: Path, path: str) -> None:
    with running(config_for(tmp_path), workers=0) as server, server.client() as client:
        client.get("/healthz")

        async def count() -> Counted:
            return Counted(asyncio.get_running_loop())

        counted: Counted = server.call(count())
        assert client.post(path, content=b"no JSON").status_code == 400
        assert [name for name in counted.names if "Pool" not in name] == [
            "RequestResponseCycle.run_asgi"
        ]
