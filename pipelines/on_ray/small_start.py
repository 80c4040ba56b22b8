"""Start Ray on this machine without the processes that no run uses, and without idle waits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

_LEFT_OUT = {"no_monitor": True, "include_log_monitor": False}
_LOOKS = {"poll_interval_ms": 5}
_LOOK_S, _MOST_S = 0.02, 10
_OF_AGENTS = ("aiohttp", "aiohttp_cors", "grpc", "opencensus", "prometheus_client", "pydantic")
"""With these packages `ray[default]` is installed."""


@contextmanager
def small_start(on_spawned: Callable[[], None] | None = None) -> Iterator[None]:
    """Leave processes and waits out while a local Ray is started.

    - The dashboard's process. With `include_dashboard=False` it still starts, reports usage, which
      is off here, and holds up the start for half of its time.
    - The log monitor's, which shows logs of actors in the driver; they stay in files.
    - The autoscaler's, which looks for more machines.
    - An import of the packages that Ray's agents use, only to see whether they are there.
    - Looks for the port of Ray's head that are 0.1 s apart, and questions for the node that are a
      second apart.

    Ray has no public option for any of them; what a version of Ray does not have in these places,
    it does as it is. Call this in one thread at a time.

    Args:
        on_spawned: called when all processes have been started.
    """
    places: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("_private.parameter", "RayParams", partial(_with, _LEFT_OUT)),
        ("_private.services", "start_api_server", _no_server),
        ("_private.services", "start_raylet", partial(_followed_by, on_spawned)),
        ("_private.services", "get_node", _once_there),
        ("_private.node", "wait_for_persisted_port", partial(_with, _LOOKS)),
        ("_private.utils", "get_dashboard_dependency_error", _without_import),
    )
    with ExitStack() as replaced:
        for module, name, made in places:
            replaced.enter_context(_replaced(_module(module), name, made))
        yield


def _module(name: str) -> Any:  # noqa: ANN401 - a module without types
    """Return a private module of Ray; an empty object where this version has none."""
    try:
        return import_module(f"ray.{name}")
    except ImportError:
        return object()


@contextmanager
def _replaced(module: Any, name: str, made: Callable[[Any], Any]) -> Iterator[None]:  # noqa: ANN401
    """Put something made of it in place of an attribute, if the module has it."""
    before = getattr(module, name, None)
    if before is None:
        yield
        return
    setattr(module, name, made(before))
    try:
        yield
    finally:
        setattr(module, name, before)


def _with(options: dict[str, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function or class with options, if it has them all."""
    has_them = set(options) <= set(signature(function).parameters)
    return partial(function, **options) if has_them else function


def _no_server(start: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that answers as Ray does if there is no web page."""
    if os.environ["RAY_USAGE_STATS_ENABLED"] != "0":
        return start
    return lambda *_arguments, **_options: ("", None)


def _followed_by(then: Callable[[], None] | None, start: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - Ray's, as they are
        started = start(*arguments, **options)
        if then is not None:
            then()
        return started

    return called


def _once_there(get_node: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """Return a function that asks Ray for a node once it has registered, or after 10 s."""
    make_client = getattr(_module("_raylet"), "GcsClient", None)
    if make_client is None:
        return get_node

    def called(address: str, node_id: str) -> Any:  # noqa: ANN401 - Ray's answer, as it is
        client, until = make_client(address=address), time.monotonic() + _MOST_S
        while time.monotonic() < until:
            if any(known.hex() == node_id for known in client.get_all_node_info()):
                break
            time.sleep(_LOOK_S)
        return get_node(address, node_id)

    return called


def _without_import(error: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that looks for the packages of Ray's agents without loading them."""
    return lambda: None if all(map(find_spec, _OF_AGENTS)) else error()
