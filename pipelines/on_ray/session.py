"""Join the Ray cluster of a run, or start one for the duration of the run."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.errors import ClusterError
from pipelines.on_ray.head_watch import knock

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported

import ray

from pipelines.on_ray.small_start import small_start

logger = logging.getLogger(__name__)

_HOST_AND_PORT = re.compile(r"[^/]+:\d+")  # and not e.g. `auto`
_KNOCK_S = 10


@contextmanager
def ray_session(
    config: RayConfig,
    stylize: StylizeConfig | None,
    *,
    on_spawned: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Join the cluster at `config.address`, or start one for the duration of the block.

    An existing connection (tests, a notebook) is used and left open.

    Args:
        config: the cluster.
        stylize: the actors that will be started; None: none will be.
        on_spawned: called when the processes of a started cluster are there, and not ready yet;
            perhaps not with every version of Ray.

    Raises:
        ClusterError: Ray does not start or cannot be joined; or this single machine is too small
            for an actor.
    """
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"address": config.address, "log_to_driver": False}
    if config.address == "local":
        needed = 1 if stylize is None else int(stylize.max_actors * stylize.cpus_per_actor + 1)
        options |= {
            "num_cpus": config.num_cpus or max(needed, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": config.object_store_mb * 10**6,
            "_metrics_export_port": config.metrics_port,
        }
    explicit = _HOST_AND_PORT.fullmatch(config.address)  # Ray then looks for no token itself
    try:
        if explicit:
            knock(config.address, _KNOCK_S)  # Ray itself would retry an absent head for minutes
        with small_start(on_spawned) if config.address == "local" else nullcontext():
            ray.init(logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray itself raises that class, e.g. when its processes are slow
        reason = str(error).rstrip(".")
        token = ", set RAY_AUTH_MODE=token if it has a token" if explicit else ""
        raise ClusterError(
            f"there is no Ray at ray.address {config.address!r}: {reason}. Check with "
            f"`ray status`{token}, or try again; recorded rows stay recorded"
        ) from error
    try:
        if config.address == "local" and stylize is not None:
            _check_room(stylize)
        yield
    finally:
        ray.shutdown()


def log_nodes() -> None:
    """Log the nodes of the cluster, with the addresses of their metrics."""
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        logger.info(
            "ray_node metrics=http://%s:%s/metrics",
            node["NodeManagerAddress"], node["MetricsExportPort"],
        )  # fmt: skip


def _check_room(stylize: StylizeConfig) -> None:
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    needs = {"GPU": stylize.gpus_per_actor, "CPU": stylize.cpus_per_actor}
    for what, needed in needs.items():
        if has.get(what, 0) < needed:
            raise ClusterError(
                f"an actor needs {needed:g} {what}s (stylize.{what.lower()}s_per_actor), and this "
                f"machine has {has.get(what, 0):g}; on a machine without a GPU, for a tiny model, "
                "set stylize.gpus_per_actor to 0"
            )
