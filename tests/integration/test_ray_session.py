"""Messages to the user if there is no cluster, or one without room."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pipelines.driver.run import _Cluster
from pipelines.driver.signals import StopRequest
from pipelines.telemetry.progress import ProgressReporter
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.stats import RunStats
from tests.integration.harness import (
    manifest_rows,
    run_config,
    run_uso,
    write_config,
    write_manifest,
)
from tests.pipelines.manifests import config

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]


class Heard:
    """A listener that records what the run waits for."""

    def __init__(self) -> None:
        self.waiting_for: list[str] = []

    def update(self, snapshot: Snapshot) -> None:
        self.waiting_for.append(snapshot.waiting_for)


def said_by(tmp_path: Path, *overrides: str) -> tuple[int, str]:
    manifest = write_manifest(tmp_path / "manifest.parquet", manifest_rows(1, ["unused.png"]))
    config = write_config(tmp_path / "run.yaml", run_config(str(manifest), str(tmp_path / "out")))
    arguments = [part for override in overrides for part in ("--set", override)]
    code, said = run_uso("run", str(config), *arguments)
    assert "Traceback" not in said
    return code, " ".join(said.split())


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    code, said = said_by(tmp_path, f"ray.address=127.0.0.1:{port}")
    assert code == 1
    assert f"127.0.0.1:{port}" in said
    assert "ray status" in said
    assert "RAY_AUTH_MODE=token" in said


def test_a_machine_without_the_gpus_that_an_actor_needs(tmp_path: Path) -> None:
    code, said = said_by(tmp_path, "stylize.gpus_per_actor=64")
    assert code == 1
    assert "an actor needs 64 GPUs (stylize.gpus_per_actor)" in said


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_that_packs_joins_its_cluster_once() -> None:
    heard = Heard()
    with _Cluster(config("unused"), ProgressReporter(heard, RunStats()), StopRequest()) as cluster:
        cluster.join()
        cluster.join()
    assert heard.waiting_for == ["starting Ray"]
