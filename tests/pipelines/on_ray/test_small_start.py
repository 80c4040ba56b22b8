"""Places of Ray that are not public, and versions of Ray that do not have them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from pipelines.on_ray import small_start as module
from pipelines.on_ray.small_start import small_start


def places() -> tuple[Any, Any]:
    parameter, services = (import_module(f"ray._private.{n}") for n in ("parameter", "services"))
    return parameter.RayParams, services.start_api_server


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
