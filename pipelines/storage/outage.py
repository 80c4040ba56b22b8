"""Tracks how long a store has been unavailable, over all operations on it.

Each operation waits out faults that may pass. If each waited by itself, a run whose store is gone
for good would wait once for its records, once more for its run file, and so on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_CALM_S = 30.0  # after this long without a failure, the next one starts a new outage
_REFUSED_S = 5.0


class Outage:
    """Safe to share between threads.

    Args:
        patience_s: seconds for which a store may be unavailable.
        clock: returns seconds.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._last_failed = float("-inf")

    def worked(self) -> None:
        """Note that an operation succeeded."""
        with self._lock:
            self._began = None

    def failed(self, started: float) -> None:
        """Note that an operation, started at `started` on the clock, met a fault that may pass."""
        with self._lock:
            if self._began is None or started - self._last_failed > _CALM_S:
                self._began = started
            self._last_failed = self._clock()

    @property
    def over_patience(self) -> bool:
        """True if nothing has succeeded for `patience_s`, so waiting on is pointless."""
        with self._lock:
            return self._began is not None and self._last_failed - self._began >= self._patience_s

    @property
    def given_up(self) -> bool:
        """True if patience ran out seconds ago, so that an operation can fail at once."""
        return self.over_patience and self._clock() - self._last_failed < _REFUSED_S
