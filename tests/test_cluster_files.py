"""The files in `configs/kuberay`, `configs/cluster-launcher` and `docker` are consistent."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray import autoscaler

from jobs.cluster.job import CONFIG_KEY, OUTPUT_KEY, STOP_WAIT_KEY, stop_wait_s
from pipelines.config.schema import RunConfig

ROOT = Path(__file__).parent.parent
RAYJOB = ROOT / "configs" / "kuberay" / "rayjob.yaml"
LAUNCHER = ROOT / "configs" / "cluster-launcher" / "aws.yaml"

# Fields of KubeRay's API ray.io/v1, named as in its Go types.
FIELDS = {
    "RayJobSpec": """
        activeDeadlineSeconds backoffLimit rayClusterSpec submitterPodTemplate metadata
        clusterSelector submitterConfig managedBy deletionStrategy entrypoint runtimeEnvYAML jobId
        submissionMode entrypointResources entrypointNumCpus entrypointNumGpus
        ttlSecondsAfterFinished shutdownAfterJobFinishes suspend
    """,
    "RayClusterSpec": """
        headGroupSpec workerGroupSpecs rayVersion enableInTreeAutoscaling autoscalerOptions
        authOptions headServiceAnnotations suspend managedBy gcsFaultToleranceOptions
    """,
    "HeadGroupSpec": "serviceType headService enableIngress rayStartParams template",
    "WorkerGroupSpec": """
        groupName replicas minReplicas maxReplicas numOfHosts rayStartParams template scaleStrategy
    """,
}


def ray_version() -> str:
    found = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in yaml.safe_load_all(RAYJOB.read_text())}


@pytest.fixture
def spec(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = documents["RayJob"]["spec"]
    return found


@pytest.fixture
def cluster(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["rayClusterSpec"]
    return found


@pytest.fixture
def config(documents: dict[str, dict[str, Any]], tmp_path: Path) -> RunConfig:
    """Return the run's configuration, from the ConfigMap."""
    path = tmp_path / "run.yaml"
    path.write_text(documents["ConfigMap"]["data"]["run.yaml"])
    return RunConfig.from_yaml(path)


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_rayjob_has_no_field_that_kuberay_does_not_know(
    spec: dict[str, Any], cluster: dict[str, Any]
) -> None:
    assert set(spec) <= set(FIELDS["RayJobSpec"].split())
    assert set(cluster) <= set(FIELDS["RayClusterSpec"].split())
    assert set(cluster["headGroupSpec"]) <= set(FIELDS["HeadGroupSpec"].split())
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= set(FIELDS["WorkerGroupSpec"].split())


def test_the_job_runs_the_configuration_that_is_mounted(
    documents: dict[str, dict[str, Any]], spec: dict[str, Any], cluster: dict[str, Any]
) -> None:
    head = cluster["headGroupSpec"]["template"]["spec"]
    mounts = {mount["name"]: mount for mount in head["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in head["volumes"]}
    command, verb, path = shlex.split(spec["entrypoint"])
    assert (command, verb) == ("uso", "run")
    assert path == f"{mounts['config']['mountPath']}/run.yaml"
    assert volumes["config"]["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]


def test_the_run_joins_its_cluster_and_tells_where_it_writes(
    spec: dict[str, Any], config: RunConfig
) -> None:
    assert config.ray.address == "auto"
    assert spec["metadata"] == {CONFIG_KEY: "run.yaml", OUTPUT_KEY: config.output.path}


def test_everything_that_ends_a_pod_leaves_time_to_stop_in_good_order(
    spec: dict[str, Any], cluster: dict[str, Any], config: RunConfig
) -> None:
    needed = stop_wait_s(config.ray.stop_grace_s)
    assert int(yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"][STOP_WAIT_KEY]) >= needed
    assert min(pod["terminationGracePeriodSeconds"] for pod in pods(cluster)) > needed
    head, worker = (pod["containers"][0]["lifecycle"]["preStop"] for pod in pods(cluster))
    assert f"uso stop {spec['jobId']} " in head["exec"]["command"][-1]
    assert "[r]ay::RowActor" in worker["exec"]["command"][-1]


def test_all_pods_have_the_same_image_and_the_secrets(cluster: dict[str, Any]) -> None:
    containers = [pod["containers"][0] for pod in pods(cluster)]
    assert len({container["image"] for container in containers}) == 1
    for container in containers:
        assert container["envFrom"] == [{"secretRef": {"name": "uso-secrets"}}]
    assert "password" not in RAYJOB.read_text().lower()


def test_an_actor_fits_into_a_worker(cluster: dict[str, Any], config: RunConfig) -> None:
    (group,) = cluster["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert config.stylize.gpus_per_actor == int(limits["nvidia.com/gpu"])
    assert config.stylize.cpus_per_actor <= int(limits["cpu"])
    assert config.stylize.max_actors == group["maxReplicas"]
    assert config.stylize.min_actors <= group["maxReplicas"]


def test_everything_runs_the_same_ray(cluster: dict[str, Any]) -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert cluster["rayVersion"] == ray_version()
    assert f"FROM rayproject/ray:{ray_version()}-" in dockerfile
    assert f"ray[default]=={ray_version()}" in LAUNCHER.read_text()


def test_the_launcher_file_is_what_rays_schema_wants() -> None:
    schema = json.loads((Path(autoscaler.__path__[0]) / "ray-schema.json").read_text())
    launcher = yaml.safe_load(LAUNCHER.read_text())
    jsonschema.validate(launcher, schema)
    types = launcher["available_node_types"]
    assert launcher["head_node_type"] in types
    assert types["gpu"]["max_workers"] == launcher["max_workers"]
    assert types["gpu"]["resources"]["GPU"] == 1


def test_the_image_gets_the_files_of_its_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    needed_by_the_build = {"configs", "pyproject.toml", "setup.py", "constraints.txt"}
    assert {"uso_core", "pipelines", "jobs"} | needed_by_the_build <= kept
    assert [name for name in kept if not (ROOT / name).exists()] == []
