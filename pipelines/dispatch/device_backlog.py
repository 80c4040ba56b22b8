"""When a worker's device comes to the end of the rows that the worker holds, as the driver sees it.

Rows take turns on a device. How long one takes follows from the work in it and from what the last
one took on the same worker, so that a slow GPU is known as slow.
"""

from __future__ import annotations

import math

from pipelines.rows import ManifestRow, Outcome


class DeviceBacklog:
    """The rows that one worker holds, as time on its device. Times are of the caller's clock."""

    def __init__(self) -> None:
        self._work: dict[str, float] = {}  # of each row that is held
        self._pace: float | None = None  # seconds per unit of work
        self._free_at = -math.inf

    def given(self, row: ManifestRow, now: float) -> None:
        """The worker was given a row."""
        work = work_in(row)
        self._work[row.id] = work
        self._free_at = max(self._free_at, now) + self._seconds(work)

    def ended(self, row_id: str, outcome: Outcome | None, now: float) -> None:
        """A row has come back, drawn or not; None: without an outcome."""
        work = self._work.pop(row_id)
        if outcome is not None and outcome.device_s:
            self._pace = outcome.device_s / work
        # The next one's turn began when this one was drawn, before it was stored.
        began = now - (0 if outcome is None else outcome.after_s)
        self._free_at = began + sum(map(self._seconds, self._work.values()))

    def left_s(self, now: float) -> float:
        """Seconds until the device is free; infinity where rows are held and no pace is known."""
        return max(0.0, self._free_at - now) if self._work else 0.0

    def _seconds(self, work: float) -> float:
        return math.inf if self._pace is None else work * self._pace


def work_in(row: ManifestRow) -> float:
    """Work in a row, roughly; one whose size is not known yet counts as a square of 1024."""
    p = row.parameters
    return p.num_steps * (p.width or 1024) * (p.height or 1024) * p.num_images
