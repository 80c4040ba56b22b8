"""Messages to the user if there is no cluster, or one without room."""

from __future__ import annotations

import socket
import subprocess
import sys
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


_OWN_CLUSTER = """
import sys, psutil, ray
from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.on_ray.session import ray_session
from ray._private import parameter, services
before = parameter.RayParams, services.start_api_server
with ray_session(RayConfig(), StylizeConfig(gpus_per_actor=0)):
    children = psutil.Process().children(recursive=True)
    print(*(part for child in children for part in child.cmdline()))
    print(ray.get(ray.remote(lambda: 6 * 7).remote()))
assert (parameter.RayParams, services.start_api_server) == before
"""


_EARLY = """
import threading
import ray
from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.errors import ClusterError
from pipelines.on_ray.early_ray import EarlyRay
early = EarlyRay(RayConfig(), StylizeConfig(gpus_per_actor=0))
began_before_it_was_ready = not ray.is_initialized()
early.join()
print(began_before_it_was_ready, ray.get(ray.remote(lambda: 6 * 7).remote()))
early.close()
early.close()
print(ray.is_initialized(), [t.name for t in threading.enumerate() if t.name.startswith("ray_")])
too_small = EarlyRay(RayConfig(), StylizeConfig(gpus_per_actor=64))
try:
    too_small.join()
except ClusterError as error:
    print(error)
too_small.close()
print(ray.is_initialized())
"""


def test_an_early_cluster_gets_ready_in_a_thread_of_its_own() -> None:
    command = [sys.executable, "-c", _EARLY]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, ended, error, ended_again = ran.stdout.splitlines()
    assert (answer, ended, ended_again) == ("True 42", "False []", "False")
    assert error.startswith("an actor needs 64 GPUs")
    assert ran.stderr == ""


def test_an_error_in_the_inputs_ends_an_early_cluster(tmp_path: Path) -> None:
    code, said = said_by(tmp_path, "manifest.columns.prompt=caption")
    assert code == 2
    assert "manifest.columns.prompt" in said


def test_a_cluster_of_its_own_starts_no_process_that_a_run_does_not_use() -> None:
    command = [sys.executable, "-c", _OWN_CLUSTER]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    processes, answer = ran.stdout.splitlines()[-2:]
    assert answer == "42"
    assert "raylet" in processes
    for name in ("dashboard.py", "monitor.py"):
        assert name not in processes
    assert ran.stderr == ""
