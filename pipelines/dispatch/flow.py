"""How many rows one worker should hold, so that its device never waits for a fetch or a store."""

from __future__ import annotations

import math
from collections import deque

from pipelines.rows import Outcome

_WINDOW = 64  # rows remembered: enough for quantiles, few enough to follow a change of load
_SLACK_S = 0.25  # the driver looks that often at least


class FlowControl:
    """Follows the measured times of recent rows.

    While one row is drawn, others must be fetched or stored. With quick rows drawn in `d` and slow
    references and stores that take `f` and `s`, a device stays busy when `1 + (f + s) / d` rows are
    there; one more is kept as slack. Decoding is part of `d` where it keeps the device from the
    next row, else it counts with `s`. Where rows are drawn together, that many are drawn while that
    many wait. Quick and slow are the 20th and 80th percentile of the last
    rows, so that a run of short rows does not starve the device.

    Attributes:
        limit: rows that one worker should hold now.
        ahead_s: how long before its device is free a worker needs its next row, so that the row's
            references are there.
    """

    def __init__(self, *, fixed: int | None, most: int, together: int = 1) -> None:
        """Hold `fixed` rows, or, where that is None, follow the times up to `most`.

        Args:
            fixed: rows.
            most: rows.
            together: rows that are drawn at once.
        """
        self._fixed = fixed
        self._most = most
        self._together = together
        self._drawing_ms: deque[float] = deque(maxlen=_WINDOW)
        self._fetch_ms: deque[float] = deque(maxlen=_WINDOW)
        self._around_ms: deque[float] = deque(maxlen=_WINDOW)
        self.limit = min(2 * together + 1, most) if fixed is None else fixed
        self.ahead_s = _SLACK_S

    def observe(self, outcome: Outcome) -> None:
        """Take the times of one completed row into account."""
        if outcome.device_s is None:
            return
        fetch_ms = outcome.timings.fetch or 0
        self._fetch_ms.append(fetch_ms)
        self.ahead_s = _SLACK_S + _quantile(self._fetch_ms, 0.8) / 1e3
        if self._fixed is not None:
            return
        self._drawing_ms.append(max(1e3 * outcome.device_s, 0.1))
        self._around_ms.append(fetch_ms + 1e3 * outcome.after_s)
        quick = _quantile(self._drawing_ms, 0.2)
        slow = _quantile(self._around_ms, 0.8)
        self.limit = min(2 * self._together + math.ceil(slow / quick), self._most)


def _quantile(values: deque[float], fraction: float) -> float:
    return sorted(values)[round(fraction * (len(values) - 1))]
