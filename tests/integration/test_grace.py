"""A row that does not end within the grace period is returned, neither recorded nor lost."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.ledger.ledger import iter_records
from pipelines.storage.storage import Storage
from pipelines.telemetry.snapshot import Snapshot
from tests.integration.scripted_worker import ScriptedWorker
from tests.pipelines.manifests import write

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(120)]


class StopsWhenBusy:
    """Sends this process a spot notice as soon as rows are on the workers."""

    def __init__(self) -> None:
        self.sent_at: float | None = None

    def update(self, snapshot: Snapshot) -> None:
        if snapshot.in_flight and snapshot.completed and self.sent_at is None:
            self.sent_at = time.monotonic()
            signal.raise_signal(signal.SIGTERM)


def test_rows_over_the_grace_are_given_back(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet", {"id": ["a", "b"], "prompt": ["", "sleep:60"]})
    config = RunConfig.model_validate(
        {
            "manifest": {"path": str(tmp_path / "m.parquet")},
            "output": {"path": str(tmp_path / "out")},
            "model": {"base": "tiny"},
            "stylize": {"gpus_per_actor": 0, "actors": 2},
            "ray": {"stop_grace_s": 1},
        }
    )
    listener = StopsWhenBusy()
    summary = run(config, listener=listener, make_worker=ScriptedWorker)
    assert listener.sent_at is not None
    assert time.monotonic() - listener.sent_at < 20
    assert summary.interrupted
    batches = iter_records(Storage.at(str(tmp_path / "out")), ["id"])
    assert [row["id"] for batch in batches for row in batch.to_pylist()] == ["a"]

    write(tmp_path / "m.parquet", {"id": ["a", "b"], "prompt": ["", ""]})
    again = run(config, make_worker=ScriptedWorker)
    assert (again.completed, again.skipped) == (1, 1)
