"""Flow control: rows per worker, so that a device never waits for a fetch or a store."""

from __future__ import annotations

import math
from collections import deque

from pipelines.rows import Outcome

_WINDOW = 64  # rows: enough for quantiles, few enough to follow a change of load
_SLACK_S = 0.25  # longest pause of the driver's loop


class FlowControl:
    """Follows the measured times of recent rows.

    While a device generates one row, other rows must be fetched or stored. With quick rows of `d`
    seconds on the device and slow fetches and stores of `f` and `s` seconds, a device stays busy
    with `1 + (f + s) / d` rows; one more is slack. Decoding is part of `d` if it blocks the device,
    and otherwise of `s`. If rows are batched, one batch is generated while another waits. Quick and
    slow are the 20th and 80th percentile of recent rows, so that a series of short rows does not
    starve the device.

    Attributes:
        limit: rows that one worker should hold now.
        ahead_s: seconds before its device is free at which a worker needs its next row, so that the
            references arrive in time.
    """

    def __init__(self, *, fixed: int | None, most: int, together: int = 1) -> None:
        """Hold `fixed` rows; if that is None, follow the measured times up to `most`.

        Args:
            fixed: rows per worker.
            most: upper bound of rows per worker.
            together: rows in one batch.
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
        """Add the times of one completed row."""
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
