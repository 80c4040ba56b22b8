"""The rows that wait in the server's process, interactive ones first."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping

from jobs.serve.task import Lane
from pipelines.rows import Entry, ManifestRow

_ORDER: tuple[Lane, ...] = ("interactive", "batch")


class Lanes:
    """A source of rows for the dispatcher; filled from the event loop, emptied by its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes: Mapping[Lane, deque[Entry[ManifestRow]]] = {lane: deque() for lane in _ORDER}
        self._closed = False

    @property
    def exhausted(self) -> bool:
        """False until the server stops: another row may always come."""
        with self._lock:
            return self._closed and not any(self._lanes.values())

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._lanes.values()))

    def add(self, lane: Lane, entries: Iterable[Entry[ManifestRow]]) -> None:
        """Add rows to the end of a lane."""
        with self._lock:
            self._lanes[lane].extend(entries)

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` rows."""
        taken: list[Entry[ManifestRow]] = []
        with self._lock:
            for lane in _ORDER:
                rows = self._lanes[lane]
                while rows and len(taken) < most:
                    taken.append(rows.popleft())
        return taken

    def clear(self) -> None:
        """Drop the rows that wait; the database still has their tasks."""
        with self._lock:
            for rows in self._lanes.values():
                rows.clear()

    def close(self) -> None:
        """Drop the rows that wait, for the last time."""
        with self._lock:
            self._closed = True
        self.clear()
