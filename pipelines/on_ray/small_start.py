"""Start Ray on this machine without the processes that no run uses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

_SERVER = "start_api_server"
_LEFT_OUT = {"no_monitor": True, "include_log_monitor": False}


@contextmanager
def small_start() -> Iterator[None]:
    """Leave processes out while a local Ray is started.

    - The dashboard's. With `include_dashboard=False` it still starts, reports usage, which is off
      here, and holds up the start for half of its time.
    - The log monitor's, which shows logs of actors in the driver; they stay in files.
    - The autoscaler's, which looks for more machines.

    Ray has no public option for any of them; where a version of Ray does not have these places, it
    starts them all. Call it in one thread at a time.
    """
    parameter, services = _private("parameter"), _private("services")
    params, server = getattr(parameter, "RayParams", None), getattr(services, _SERVER, None)
    if params is not None and _takes(params, _LEFT_OUT):
        parameter.RayParams = partial(params, **_LEFT_OUT)
    if server is not None and os.environ["RAY_USAGE_STATS_ENABLED"] == "0":
        setattr(services, _SERVER, _no_server)
    try:
        yield
    finally:
        parameter.RayParams = params
        setattr(services, _SERVER, server)


def _private(name: str) -> Any:  # noqa: ANN401 - a module without types
    """Return a private module of Ray; an empty one where this version has none."""
    try:
        return import_module(f"ray._private.{name}")
    except ImportError:
        return SimpleNamespace()


def _takes(made: type[Any], options: Iterable[str]) -> bool:
    known = made.__init__.__code__.co_varnames
    return all(name in known for name in options)


def _no_server(*_arguments: object, **_options: object) -> tuple[str, None]:
    """Return an empty address and no process, as Ray does if there is no web page."""
    return "", None
