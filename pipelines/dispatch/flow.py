"""Flow control: rows per worker, so that a device never waits for a fetch or a store."""

from __future__ import annotations

import math
from collections import deque

from pipelines.rows import Outcome

_WINDOW = 64  # rows: enough for quantiles, few enough to follow a change of load
_SLACK_S = 0.25  # longest pause of the driver's loop
_STRIDE = 8  # rows between two looks at a full window: sorting it costs more than a row is worth
_CALL_MS = 50.0  # work in one call of a worker: a call costs the driver half a millisecond


class FlowControl:
    """Follows the measured times of recent rows.

    While a device generates one row, other rows must be fetched or stored. With quick rows of `d`
    seconds on the device and slow fetches and stores of `f` and `s` seconds, a device stays busy
    with `1 + (f + s) / d` rows; one more is slack. Decoding is part of `d` if it blocks the device,
    and otherwise of `s`. If rows are batched, one batch is generated while another waits. Quick and
    slow are the 20th and 80th percentile of recent rows, so that a series of short rows does not
    starve the device.

    A worker gets through short rows in less time than it takes to give them one by one. It then
    holds the rows of two more calls, and gets new ones once a whole call fits.

    Attributes:
        limit: rows that one worker should hold now.
        at_once: rows in one call.
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
        self._most = most if fixed is None else fixed
        self._together = together
        self._drawing_ms: deque[float] = deque(maxlen=_WINDOW)
        self._fetch_ms: deque[float] = deque(maxlen=_WINDOW)
        self._around_ms: deque[float] = deque(maxlen=_WINDOW)
        self._observed = 0
        self.limit = min(2 * together + 1, most) if fixed is None else fixed
        self.at_once = 1
        self.ahead_s = _SLACK_S

    def observe(self, outcome: Outcome) -> None:
        """Add the times of one completed row."""
        if outcome.device_s is None:
            return
        fetch_ms = outcome.timings.fetch or 0
        self._fetch_ms.append(fetch_ms)
        self._drawing_ms.append(max(1e3 * outcome.device_s, 0.1))
        self._around_ms.append(fetch_ms + 1e3 * outcome.after_s)
        self._observed += 1
        if self._observed <= _WINDOW or self._observed % _STRIDE == 0:
            self._follow()

    def _follow(self) -> None:
        self.ahead_s = _SLACK_S + _quantile(self._fetch_ms, 0.8) / 1e3
        slow, drawing = _quantile(self._around_ms, 0.8), _quantile(self._drawing_ms, 0.8)
        each_ms = max(drawing, (drawing + slow) / self._most)
        short = max(1, int(_CALL_MS / each_ms))
        if self._fixed is None:
            quick = _quantile(self._drawing_ms, 0.2)
            needed = 2 * self._together + math.ceil(slow / quick)
            self.limit = min(needed + 2 * (short - 1), self._most)
        spare = self.limit - 2 * self._together
        self.at_once = max(1, min(short, 1 + spare // 2))


def _quantile(values: deque[float], fraction: float) -> float:
    return sorted(values)[round(fraction * (len(values) - 1))]
