"""How long a store has been away, as all operations on it see it together.

Each of them waits out faults that may pass. Were each to wait by itself, a run whose store is away
for good would wait once for its records, once more for what it says of its end, and so on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_CALM_S = 30.0  # without a failure: the next one begins another outage
_REFUSED_S = 5.0


class Outage:
    """Safe to share between threads.

    Args:
        patience_s: seconds for which a store may be away.
        clock: in seconds.
    """

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._last_failed = float("-inf")

    def worked(self) -> None:
        """An operation has worked."""
        with self._lock:
            self._began = None

    def failed(self, started: float) -> None:
        """An operation that was begun at `started`, on the clock, met a fault that may pass."""
        with self._lock:
            if self._began is None or started - self._last_failed > _CALM_S:
                self._began = started
            self._last_failed = self._clock()

    @property
    def over_patience(self) -> bool:
        """Whether nothing has worked for `patience_s`: it is not waited for any longer."""
        with self._lock:
            return self._began is not None and self._last_failed - self._began >= self._patience_s

    @property
    def given_up(self) -> bool:
        """Whether it was so only seconds ago: there is no need to ask again."""
        return self.over_patience and self._clock() - self._last_failed < _REFUSED_S
