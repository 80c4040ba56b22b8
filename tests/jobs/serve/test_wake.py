"""A row of an idle server goes to a worker at once, without a wait for the next look."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jobs.serve import pool
from pipelines.dispatch import dispatcher
from pipelines.rows import ManifestRow, Outcome
from tests.jobs.serve.running import config_for, running

LONG_S = 300  # five times the time-out of a test


def at_once(row: ManifestRow) -> Outcome:
    return Outcome(row_id=row.id)


def threads_of_pools() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pool"]


def test_new_rows_and_the_stop_end_the_wait_of_the_dispatcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_STEP_S", LONG_S)
    monkeypatch.setattr(dispatcher, "_STARVING_S", LONG_S)
    before = threads_of_pools()
    with running(config_for(tmp_path), at_once) as server, server.client() as client:
        body = {"app": "infsh/bytedance-uso", "input": {"prompt": "a cat"}, "wait": True}
        for _ in range(2):
            assert client.post("/apps/run", json=body).json()["data"]["status_text"] == "completed"
    assert threads_of_pools() == before
