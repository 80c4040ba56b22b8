"""Start Ray on this machine without the processes that no run uses, and without idle waits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

_SERVER, _NODE = "start_api_server", "get_node"
_LEFT_OUT = {"no_monitor": True, "include_log_monitor": False}
_LOOK_S, _MOST_S = 0.02, 10


@contextmanager
def small_start(on_spawned: Callable[[], None] | None = None) -> Iterator[None]:
    """Leave processes out while a local Ray is started.

    - The dashboard's. With `include_dashboard=False` it still starts, reports usage, which is off
      here, and holds up the start for half of its time.
    - The log monitor's, which shows logs of actors in the driver; they stay in files.
    - The autoscaler's, which looks for more machines.

    Ray also asks for its own node, and if the answer is no, it asks again a second later. The node
    comes between the two, so here it is asked for once it is there.

    Ray has no public option for any of them; where a version of Ray does not have these places, it
    starts as it does by itself. Call it in one thread at a time.

    Args:
        on_spawned: called when all processes have been started.
    """
    parameter, services = _module("_private.parameter"), _module("_private.services")
    params, server = getattr(parameter, "RayParams", None), getattr(services, _SERVER, None)
    node, client = getattr(services, _NODE, None), getattr(_module("_raylet"), "GcsClient", None)
    if params is not None and _takes(params, _LEFT_OUT):
        parameter.RayParams = partial(params, **_LEFT_OUT)
    if server is not None and os.environ["RAY_USAGE_STATS_ENABLED"] == "0":
        setattr(services, _SERVER, _no_server)
    if node is not None and client is not None:
        setattr(services, _NODE, partial(_node_once_there, node, client, on_spawned))
    try:
        yield
    finally:
        parameter.RayParams = params
        setattr(services, _SERVER, server)
        setattr(services, _NODE, node)


def _module(name: str) -> Any:  # noqa: ANN401 - a module without types
    """Return a private module of Ray; an empty one where this version has none."""
    try:
        return import_module(f"ray.{name}")
    except ImportError:
        return SimpleNamespace()


def _takes(made: type[Any], options: Iterable[str]) -> bool:
    known = made.__init__.__code__.co_varnames
    return all(name in known for name in options)


def _no_server(*_arguments: object, **_options: object) -> tuple[str, None]:
    """Return an empty address and no process, as Ray does if there is no web page."""
    return "", None


def _node_once_there(
    get_node: Callable[[str, str], Mapping[str, Any]],
    make_client: Callable[..., Any],
    on_spawned: Callable[[], None] | None,
    address: str,
    node_id: str,
) -> Mapping[str, Any]:
    """Ask Ray for a node once the node has registered, or after 10 s."""
    if on_spawned is not None:
        on_spawned()
    client, until = make_client(address=address), time.monotonic() + _MOST_S
    while time.monotonic() < until:
        if any(known.hex() == node_id for known in client.get_all_node_info()):
            break
        time.sleep(_LOOK_S)
    return get_node(address, node_id)
