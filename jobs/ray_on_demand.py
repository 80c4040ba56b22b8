"""A Ray cluster for commands that need one only if there is work for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pipelines.config.cluster import RayConfig


@contextmanager
def ray_on_demand(config: RayConfig) -> Iterator[Callable[[], None]]:
    """Yield a function that joins the cluster, or starts one; the block's end leaves it.

    Args:
        config: the cluster.

    Raises:
        ClusterError: from the function; see `ray_session`.
    """
    # Imported here, because Ray takes a second.
    from pipelines.on_ray.session import log_nodes, ray_session  # noqa: PLC0415

    with ExitStack() as session:

        def join() -> None:
            session.enter_context(ray_session(config, None))
            log_nodes()

        yield join
