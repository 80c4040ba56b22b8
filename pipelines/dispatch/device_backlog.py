"""Estimate when a worker's device will have finished the rows that the worker holds.

Rows take turns on a device. The time of a row follows from its work and from the time of the last
row on the same worker, so that a slow GPU is known to be slow.
"""

from __future__ import annotations

import math

from pipelines.rows import ManifestRow, Outcome


class DeviceBacklog:
    """Rows of one worker as time on its device, on the caller's clock."""

    def __init__(self) -> None:
        self._work: dict[str, float] = {}  # by row id
        self._pace: float | None = None  # seconds per unit of work
        self._free_at = -math.inf

    def given(self, row: ManifestRow, now: float) -> None:
        """Add a row that was given to the worker."""
        work = work_in(row)
        self._work[row.id] = work
        self._free_at = max(self._free_at, now) + self._seconds(work)

    def ended(self, row_id: str, outcome: Outcome | None, now: float) -> None:
        """Remove a row that has ended; `outcome` is None if the worker's code raised."""
        work = self._work.pop(row_id)
        if outcome is not None and outcome.device_s:
            self._pace = outcome.device_s / work
        # The next row started when this one left the device, before it was stored.
        began = now - (0 if outcome is None else outcome.after_s)
        self._free_at = began + sum(map(self._seconds, self._work.values()))

    def left_s(self, now: float) -> float:
        """Seconds until the device is free; infinity while rows are held and no pace is known."""
        return max(0.0, self._free_at - now) if self._work else 0.0

    def _seconds(self, work: float) -> float:
        return math.inf if self._pace is None else work * self._pace


def work_in(row: ManifestRow) -> float:
    """Estimate the work of a row; an unknown size counts as 1024x1024."""
    p = row.parameters
    return p.num_steps * (p.width or 1024) * (p.height or 1024) * p.num_images
