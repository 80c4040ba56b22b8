"""The deployment examples of the server are consistent, with each other and with the server."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.serve.app import make_app
from jobs.serve.config import ServeConfig, load_serve_config
from jobs.serve.connections import SPARE_CONNECTIONS, SPARE_FILES
from jobs.serve.listen import SHUTDOWN_S

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "configs" / "systemd" / "uso-serve.service"
COMPOSE = ROOT / "docker" / "compose.serve.yaml"
KUBERNETES = ROOT / "configs" / "kuberay" / "serve.yaml"
NGINX = (ROOT / "configs" / "proxy" / "nginx.conf").read_text()
CADDY = (ROOT / "configs" / "proxy" / "Caddyfile").read_text()
PROBES = ("/healthz", "/readyz")

# Of systemd.service(5), systemd.exec(5), systemd.kill(5) and systemd.unit(5).
DIRECTIVES = {
    "Unit": "Description Wants After",
    "Service": """
        User StateDirectory WorkingDirectory ExecStart EnvironmentFile Environment Restart
        RestartSec KillMode TimeoutStopSec LimitNOFILE NoNewPrivileges ProtectSystem ProtectHome
        PrivateTmp
    """,
    "Install": "WantedBy",
}
# Of the Compose specification.
SERVICE_KEYS = """
    build command ports volumes configs shm_size ulimits stop_grace_period restart healthcheck
    deploy
"""


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # case counts
    parser.read(UNIT)
    return parser


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


@pytest.fixture
def objects() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all(KUBERNETES.read_text())
    return {each["kind"]: each for each in found}


@pytest.fixture
def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return found


def loaded(text: str) -> ServeConfig:
    return load_serve_config(yaml.safe_load(text))


def stop_s(config: ServeConfig) -> float:
    """Return the longest time that a server needs to end; see `jobs.serve.server`."""
    return SHUTDOWN_S + 2 * config.ray.stop_grace_s


def test_the_unit_has_directives_that_systemd_knows(unit: configparser.ConfigParser) -> None:
    for name in unit.sections():
        assert set(unit[name]) <= set(DIRECTIVES[name].split())
    service = unit["Service"]
    command, verb, path = shlex.split(service["ExecStart"])
    assert (Path(command).name, verb, Path(path).suffix) == ("uso", "serve", ".yaml")
    assert int(service["TimeoutStopSec"]) > stop_s(ServeConfig())
    needed = ServeConfig().serve.max_connections + SPARE_CONNECTIONS + SPARE_FILES
    assert int(service["LimitNOFILE"]) > needed


def test_the_container_runs_the_server(compose: dict[str, Any]) -> None:
    server = compose["services"]["server"]
    assert set(server) <= set(SERVICE_KEYS.split())
    assert server["command"][:2] == ["uso", "serve"]
    (mounted,) = server["configs"]
    assert server["command"][2] == mounted["target"]
    config = loaded(compose["configs"][mounted["source"]]["content"])
    assert server["ports"] == [f"127.0.0.1:{config.serve.port}:{config.serve.port}"]
    assert int(server["stop_grace_period"].removesuffix("s")) > stop_s(config)
    (volume,) = compose["volumes"]
    (mount,) = server["volumes"]
    assert mount == f"{volume}:/data"
    assert config.serve.database.startswith("/data/")
    assert config.serve.files.startswith("/data/")
    code = server["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{config.serve.port}/healthz" in code
    compile(code, "healthcheck", "exec")


def test_the_image_has_the_server() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    extras = re.search(r"uso-batch\[([^\]]*)\]", dockerfile)
    assert extras
    assert {"serve", "postgres"} <= set(extras[1].split(","))
    assert COMPOSE.parent / "Dockerfile" == ROOT / "docker" / "Dockerfile"


def test_the_deployment_has_one_server_and_time_for_it(
    objects: dict[str, dict[str, Any]], pod: dict[str, Any]
) -> None:
    config = loaded(objects["ConfigMap"]["data"]["serve.yaml"])
    spec = objects["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert pod["terminationGracePeriodSeconds"] > stop_s(config)
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"] == spec["selector"]["matchLabels"]
    annotations = spec["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(config.serve.metrics_port)


def test_the_pod_has_what_the_configuration_names(
    objects: dict[str, dict[str, Any]], pod: dict[str, Any]
) -> None:
    config = loaded(objects["ConfigMap"]["data"]["serve.yaml"])
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["config"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert container["command"] == ["uso", "serve", f"{mounts['config']}/serve.yaml"]
    claim = volumes["data"]["persistentVolumeClaim"]["claimName"]
    assert claim == objects["PersistentVolumeClaim"]["metadata"]["name"]
    assert config.serve.database.startswith(f"{mounts['data']}/")
    gpus = int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert config.stylize.max_actors * config.stylize.gpus_per_actor == gpus
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": config.serve.port, "metrics": config.serve.metrics_port}
    (port,) = objects["Service"]["spec"]["ports"]
    assert port["targetPort"] == "http"
    for probe in ("livenessProbe", "startupProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}


def test_the_routes_of_the_probes_exist() -> None:
    source = Path(make_app.__code__.co_filename).read_text()
    assert [path for path in PROBES if f'"{path}"' not in source] == []


def seconds(directive: str) -> int:
    found = re.search(rf"^\s*{directive} (\d+)s;", NGINX, re.MULTILINE)
    assert found, directive
    return int(found[1])


def test_nginx_lets_streams_and_bodies_through() -> None:
    config = ServeConfig().serve
    assert NGINX.count("{") == NGINX.count("}")
    for directive in ("proxy_buffering", "proxy_request_buffering", "proxy_next_upstream"):
        assert f"{directive} off;" in NGINX
    size = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert size
    assert int(size[1]) >= config.max_body_mb
    assert seconds("proxy_read_timeout") > config.sync_timeout_s
    assert f"server 127.0.0.1:{config.port};" in NGINX


@pytest.mark.parametrize("text", [NGINX, CADDY], ids=["nginx", "Caddy"])
def test_the_settings_beside_a_proxy_are_valid(text: str) -> None:
    block = re.search(r"#   serve:\n((?:#     .*\n)+)", text)
    assert block
    config = loaded("serve:\n" + block[1].replace("#     ", "  "))
    assert config.serve.trusted_proxies == ["127.0.0.1"]
    assert config.serve.metrics_port is not None  # `/metrics` is not behind the proxy
    assert str(config.serve.public_url) in text
    assert f"127.0.0.1:{config.serve.port}" in text


def test_caddy_lets_streams_and_bodies_through() -> None:
    assert "flush_interval -1" in CADDY
    size = re.search(r"max_size (\d+)MB", CADDY)
    assert size
    assert int(size[1]) >= ServeConfig().serve.max_body_mb
