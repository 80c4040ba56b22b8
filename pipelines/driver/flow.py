"""How many rows one worker should hold, so that its device never waits for a fetch or a store."""

from __future__ import annotations

import math
from collections import deque

from pipelines.rows import Timings

_WINDOW = 64  # rows remembered: enough for quantiles, few enough to follow a change of load


class FlowControl:
    """Follows the measured times of recent rows.

    While one row is drawn, others must be fetched or stored. With quick rows drawn in `d` and slow
    references and stores that take `f` and `s`, a device stays busy when `1 + (f + s) / d` rows are
    there; one more is kept as slack. Where rows are drawn together, that many are drawn while that
    many wait. Quick and slow are the 20th and 80th percentile of the last
    rows, so that a run of short rows does not starve the device.

    Attributes:
        limit: rows that one worker should hold now.
        last_limit: the same for the last rows of a run, where a row that waits on one worker could
            be drawn on another: no more than hide behind each other in full.
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
        self._around_ms: deque[float] = deque(maxlen=_WINDOW)
        self.limit = min(2 * together + 1, most) if fixed is None else fixed
        self.last_limit = 1

    def observe(self, timings: Timings) -> None:
        """Take the times of one completed row into account."""
        if self._fixed is not None or timings.inference is None:
            return
        drawing = (timings.condition or 0) + timings.inference + (timings.decode or 0)
        self._drawing_ms.append(max(drawing, 0.1))
        self._around_ms.append((timings.fetch or 0) + (timings.store or 0))
        quick = _quantile(self._drawing_ms, 0.2)
        slow = _quantile(self._around_ms, 0.8)
        self.limit = min(2 * self._together + math.ceil(slow / quick), self._most)
        self.last_limit = min(1 + int(slow / _quantile(self._drawing_ms, 0.5)), self._most)


def _quantile(values: deque[float], fraction: float) -> float:
    return sorted(values)[round(fraction * (len(values) - 1))]
