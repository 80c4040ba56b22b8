"""Ray of a run's own, started while the run is still prepared."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from pipelines.config.cluster import RayConfig, StylizeConfig
from pipelines.on_ray.session import ray_session


class EarlyRay:
    """Starts Ray in a thread, which also ends it: Linux kills Ray's processes with that thread."""

    def __init__(self, config: RayConfig, stylize: StylizeConfig) -> None:
        """Begin, and return once Ray's processes are there; they get ready meanwhile.

        Args:
            config: the cluster; its address is `local`.
            stylize: the actors that will be started.
        """
        self._session, self._closed = ExitStack(), False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        spawned = threading.Event()
        session = ray_session(config, stylize, on_spawned=spawned.set)
        self._started = self._thread.submit(self._session.enter_context, session)
        self._started.add_done_callback(lambda _: spawned.set())
        spawned.wait()  # if this thread loaded a library during the fork, the child could break

    def join(self) -> None:
        """Wait until Ray is ready.

        Raises:
            ClusterError: see `ray_session`.
        """
        self._started.result()

    def close(self) -> None:
        """End Ray; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._session.close).result()
            self._thread.shutdown()
