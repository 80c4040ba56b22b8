"""The rows that wait in the server's process; each lane is a source for the dispatcher."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from pipelines.rows import Entry, ManifestRow


class RowLane:
    """Rows in order; filled from the event loop, emptied by the dispatcher's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: deque[Entry[ManifestRow]] = deque()
        self._closed = False

    @property
    def exhausted(self) -> bool:
        """False until the server stops: another row may always come."""
        with self._lock:
            return self._closed and not self._rows

    def add(self, entries: Iterable[Entry[ManifestRow]]) -> None:
        """Add rows to the end."""
        with self._lock:
            self._rows.extend(entries)

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` rows."""
        with self._lock:
            return [self._rows.popleft() for _ in range(min(most, len(self._rows)))]

    def remove(self, row_id: str) -> Entry[ManifestRow] | None:
        """Take out a row that is no longer wanted; None if it is not here."""
        with self._lock:
            found = next((entry for entry in self._rows if entry.row.id == row_id), None)
            if found is not None:
                self._rows.remove(found)
            return found

    def clear(self) -> None:
        """Drop the rows that wait; the database still has their tasks."""
        with self._lock:
            self._rows.clear()

    def close(self) -> None:
        """Drop the rows that wait, for the last time."""
        with self._lock:
            self._closed = True
        self.clear()
