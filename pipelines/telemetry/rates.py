"""Rates of a run over its last minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

_WINDOW_S = 60.0

Mark = TypeVar("Mark")


class LastMinute(Generic[Mark]):
    """A sliding window over the last minute, the baseline of every rate shown.

    It keeps at least two marks, however far apart they are.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[float, Mark]] = deque()

    def note(self, at_s: float, mark: Mark) -> tuple[float, Mark]:
        """Add the state at `at_s`, on the caller's clock.

        Returns:
            The time and value of the oldest mark in the window.
        """
        self._marks.append((at_s, mark))
        while len(self._marks) > 2 and at_s - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()
        return self._marks[0]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of a run.

    Attributes:
        rows_per_s: settled rows per second.
        images_per_s: generated images per second.
        device_busy: share of the ready workers' time spent on the device, 0 to 1; None: no worker
            was ready.
    """

    rows_per_s: float = 0
    images_per_s: float = 0
    device_busy: float | None = None


class _Mark(NamedTuple):
    at_s: float
    rows: int
    images: int
    drawing_s: float
    ready_s: float


class RateWindow:
    """Computes rates over the last minute."""

    def __init__(self) -> None:
        self._last = _Mark(0, 0, 0, 0, 0)
        self._marks = LastMinute[_Mark]()
        self._marks.note(0, self._last)

    def rates(self, at_s: float, *, rows: int, images: int, drawing_s: float, ready: int) -> Rates:
        """Return the current rates.

        Args:
            at_s: seconds since the run started.
            rows: rows settled so far.
            images: images generated so far.
            drawing_s: seconds on devices of the rows settled so far.
            ready: workers that were ready since the last call.
        """
        last = self._last
        ready_s = last.ready_s + ready * (at_s - last.at_s)
        now = _Mark(at_s, rows, images, drawing_s, ready_s)
        self._last = now
        _, then = self._marks.note(at_s, now)
        seconds = now.at_s - then.at_s
        if seconds < 1e-3:
            return Rates()
        ready_s = now.ready_s - then.ready_s
        busy = min(1.0, (now.drawing_s - then.drawing_s) / ready_s) if ready_s else None
        return Rates((now.rows - then.rows) / seconds, (now.images - then.images) / seconds, busy)
