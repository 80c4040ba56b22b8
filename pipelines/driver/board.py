"""Puts together what a run's listener sees."""

from __future__ import annotations

import time

from pipelines.driver.stats import Listener, RunStats, Snapshot

_EVERY_S = 0.5


class Board:
    """Counts and the state of the workers, as one snapshot at a time.

    Attributes:
        total: rows of the manifest, where that is known.
    """

    def __init__(self, listener: Listener | None, stats: RunStats) -> None:
        self._listener = listener
        self._stats = stats
        self._shown_at = float("-inf")
        self.total: int | None = None

    @property
    def due(self) -> bool:
        """True when the listener has seen nothing for a while."""
        return self._listener is not None and time.monotonic() - self._shown_at >= _EVERY_S

    def show(
        self, waiting_for: str, *, ready: int = 0, actors: int = 0, in_flight: int = 0
    ) -> None:
        """Tell the listener how far the run is."""
        if self._listener is None:
            return
        self._shown_at = time.monotonic()
        stats = self._stats
        images_per_s, eta_s = stats.rates(self.total)
        self._listener.update(
            Snapshot(
                total=self.total,
                completed=stats.completed,
                failed=stats.failed,
                skipped=stats.skipped,
                images=stats.images,
                elapsed_s=stats.elapsed_s,
                images_per_s=images_per_s,
                eta_s=eta_s,
                actors_ready=ready,
                actors_total=actors,
                in_flight=in_flight,
                waiting_for=waiting_for,
            )
        )
