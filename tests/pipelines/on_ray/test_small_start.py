"""Places of Ray that are not public, and versions of Ray that do not have them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from pipelines.on_ray import small_start as module
from pipelines.on_ray.small_start import small_start

PLACES = {
    "parameter": ["RayParams"],
    "services": ["start_api_server", "start_raylet", "get_node"],
    "node": ["wait_for_persisted_port"],
    "utils": ["get_dashboard_dependency_error"],
}


def places() -> list[Any]:
    return [
        getattr(import_module(f"ray._private.{module}"), name)
        for module, names in PLACES.items()
        for name in names
    ]


def test_the_places_are_as_before_at_the_end() -> None:
    before = places()
    with small_start():
        assert all(now is not then for now, then in zip(places(), before, strict=True))
    assert places() == before


def test_a_ray_without_these_places_starts_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = places()

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module, "import_module", missing)
    with small_start():
        assert places() == before


def test_other_parameters_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Params:
        def __init__(self, no_monitor: bool = False) -> None: ...

    monkeypatch.setattr("ray._private.parameter.RayParams", Params)
    with small_start():
        assert places()[0] is Params


class Client:
    """A client of Ray's that knows of one node from the third question on."""

    asked = 0

    def __init__(self, address: str) -> None:
        assert address == "head:1"

    def get_all_node_info(self) -> dict[bytes, None]:
        Client.asked += 1
        return {b"\x0a": None} if Client.asked > 2 else {}


def test_ray_is_asked_for_its_node_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_before: list[int] = []

    def get_node(address: str, node_id: str) -> dict[str, Any]:
        asked_before.append(Client.asked)
        return {"node": (address, node_id)}

    services = import_module("ray._private.services")
    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr("ray._raylet.GcsClient", Client)
    with small_start():
        assert services.get_node("head:1", "0a") == {"node": ("head:1", "0a")}
    assert asked_before == [3]
    assert services.get_node is get_node


def test_the_caller_hears_when_the_processes_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def start_raylet(name: str) -> str:
        heard.append(name)
        return "started"

    services = import_module("ray._private.services")
    monkeypatch.setattr(services, "start_raylet", start_raylet)
    with small_start(lambda: heard.append("told")):
        assert services.start_raylet("raylet") == "started"
    assert heard == ["raylet", "told"]


@pytest.mark.parametrize(("packages", "said"), [(("pytest",), None), (("no_such", "pytest"), "no")])
def test_the_packages_of_the_agents_are_looked_for_and_not_loaded(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...], said: str | None
) -> None:
    utils = import_module("ray._private.utils")
    monkeypatch.setattr(utils, "get_dashboard_dependency_error", lambda: "no")
    monkeypatch.setattr(module, "_OF_AGENTS", packages)
    with small_start():
        assert utils.get_dashboard_dependency_error() == said


def test_the_port_of_the_head_is_looked_for_often(monkeypatch: pytest.MonkeyPatch) -> None:
    node = import_module("ray._private.node")
    for wait, seen in ((lambda poll_interval_ms=100: poll_interval_ms, 5), (lambda: 100, 100)):
        monkeypatch.setattr(node, "wait_for_persisted_port", wait)
        with small_start():
            assert node.wait_for_persisted_port() == seen
