"""When a command that goes on for long says something again."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """A line every so many seconds, the first one at once.

    Args:
        every_s: seconds from one line to the next.
        clock: in seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._said_at = float("-inf")

    def due(self, *, anyway: bool = False) -> bool:
        """Whether it is time, or it is said `anyway`; then the wait begins anew."""
        now = self._clock()
        if not anyway and now - self._said_at < self._every_s:
            return False
        self._said_at = now
        return True
