"""Distinguish workers that start slowly from workers that never will."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.errors import WorkersFailedError

logger = logging.getLogger(__name__)


class StartWatch:
    """Counts failed starts, and times how long too few workers have had a process."""

    def __init__(self, policy: DispatchPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._failed: Counter[str] = Counter()  # consecutive failures of each worker
        self._short_since: float | None = None

    def worked(self, worker: str) -> None:
        """Note that a worker has finished a row, so it started well."""
        self._failed.pop(worker, None)

    def failed(self, worker: str, reason: str, *, others_ready: bool) -> None:
        """Note that a worker did not start.

        Raises:
            WorkersFailedError: this worker failed `start_attempts` times in a row, and no other
                is ready. If others work, the fault is a node's, not the run's. A node that dies
                while its eight workers load is one failed start of each, not eight in a row.
        """
        self._failed[worker] += 1
        logger.warning("worker_start_failed worker=%s reason=%s", worker, reason)
        if self._failed[worker] >= self._policy.start_attempts and not others_ready:
            raise WorkersFailedError(
                f"workers failed to start {self._failed[worker]} times in a row; "
                f"the last one said: {reason}"
            )

    def check_placed(self, placed: int) -> None:
        """Check that enough workers have a process.

        Raises:
            WorkersFailedError: fewer than `min_workers` had one for `placement_timeout_s`.
        """
        if placed >= self._policy.min_workers:
            self._short_since = None
            return
        now = self._clock()
        if self._short_since is None:
            self._short_since = now
        elif now - self._short_since > self._policy.placement_timeout_s:
            raise WorkersFailedError(
                f"for {self._policy.placement_timeout_s:g} s (stylize.placement_timeout_s) the "
                f"cluster has had room for {placed} actors, and at least "
                f"{self._policy.min_workers} are needed (stylize.actors.min): check with "
                "`ray status` that nodes with stylize.gpus_per_actor GPUs and "
                "stylize.cpus_per_actor CPUs are up and free; then rerun the same command"
            )
