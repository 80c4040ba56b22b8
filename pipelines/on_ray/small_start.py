"""Start Ray on this machine without the processes that no run uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray._private.parameter as ray_parameter
import ray._private.services as ray_services


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
    parameter: Any = ray_parameter
    services: Any = ray_services
    params, server = parameter.RayParams, getattr(services, "start_api_server", None)
    known = params.__init__.__code__.co_varnames
    left_out = {"no_monitor": True, "include_log_monitor": False}
    if all(name in known for name in left_out):
        parameter.RayParams = partial(params, **left_out)
    if server is not None and os.environ["RAY_USAGE_STATS_ENABLED"] == "0":
        services.start_api_server = _no_server
    try:
        yield
    finally:
        parameter.RayParams = params
        if server is not None:
            services.start_api_server = server


def _no_server(*_arguments: object, **_options: object) -> tuple[str, None]:
    """Return an empty address and no process, as Ray does if there is no web page."""
    return "", None
