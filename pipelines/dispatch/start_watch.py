"""Tells workers that are slow to come up from workers that never will."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from pipelines.dispatch.tasks import DispatchPolicy
from pipelines.errors import WorkersFailedError

logger = logging.getLogger(__name__)


class StartWatch:
    """Counts failed starts, and how long there have been too few places for workers."""

    def __init__(self, policy: DispatchPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._failed: Counter[str] = Counter()  # in a row, of each worker
        self._short_since: float | None = None

    def worked(self, worker: str) -> None:
        """A worker has finished a row, so it did come up."""
        self._failed.pop(worker, None)

    def failed(self, worker: str, reason: str, *, others_ready: bool) -> None:
        """A worker did not come up.

        Raises:
            WorkersFailedError: it did not `start_attempts` times in a row, and no other is ready.
                Where others work, what is wrong is a node, not the run; and a node that dies while
                its eight workers load is one failed start of each, not eight in a row.
        """
        self._failed[worker] += 1
        logger.warning("worker_start_failed worker=%s reason=%s", worker, reason)
        if self._failed[worker] >= self._policy.start_attempts and not others_ready:
            raise WorkersFailedError(
                f"workers failed to start {self._failed[worker]} times in a row; "
                f"the last one said: {reason}"
            )

    def check_placed(self, placed: int) -> None:
        """See whether enough workers have a process.

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
                f"{self._policy.min_workers} are wanted (stylize.actors.min): see with "
                "`ray status` whether nodes with stylize.gpus_per_actor GPUs and "
                "stylize.cpus_per_actor CPUs are there, and free; then run the same command again"
            )
