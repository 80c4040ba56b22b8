"""Ray, and the actors that draw for the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.serve.config import ServeConfig
from pipelines.config.variables import resolve_variables
from pipelines.dispatch.tasks import URGENT_ROWS
from pipelines.dispatch.workers import WakeablePool, WorkerEnv
from pipelines.errors import ConfigError
from pipelines.worker.spec import StylizerSpec

if TYPE_CHECKING:
    from pipelines.on_ray.row_actor import RowWorker


@contextmanager
def ray_actors(
    config: ServeConfig,
    model_name: str,
    report: Callable[[str], None],
    make_worker: Callable[[StylizerSpec], RowWorker] | None = None,
) -> Iterator[WakeablePool]:
    """Start Ray or join its cluster, and yield the actors, which load their models meanwhile.

    Args:
        config: the configuration of the server.
        model_name: name of the model, for the recipes in the images.
        report: called with the cause of each wait.
        make_worker: builds the worker of an actor; None: the one that holds the model.

    Raises:
        ConfigError: see `worker_spec`; or an environment variable of `ray.env` is not set.
        ClusterError: there is no Ray.
    """
    # Ray and torch load for seconds, and the server listens before.
    from pipelines.on_ray.actors import RayPool  # noqa: PLC0415
    from pipelines.on_ray.session import log_nodes, ray_session  # noqa: PLC0415
    from pipelines.worker.stylizer import Stylizer  # noqa: PLC0415

    try:
        spec = worker_spec(config)
        env = WorkerEnv(secret=resolve_variables(config.ray.env, "ray.env"))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    report("starting Ray")
    with ray_session(config.ray, config.stylize):
        log_nodes()
        report("loading the model")
        spec = replace(spec, recipe_model=model_name)
        make = make_worker or Stylizer
        pool = RayPool(spec, config.stylize, env, make, urgent_rows=URGENT_ROWS)
        with closing(pool):
            yield pool


def worker_spec(config: ServeConfig) -> StylizerSpec:
    """Return the specification of the server's workers.

    Raises:
        ConfigError: a plug-in is not installed.
        ValueError: an environment variable that the configuration names is not set.
    """
    # People see that something was made: a task has its withheld images, blurred.
    return replace(StylizerSpec.from_config(config.as_run()), stores_withheld=True)
