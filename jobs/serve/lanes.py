"""The rows that wait in the server's process; each lane is a source for the dispatcher."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from pipelines.rows import Entry, ManifestRow


def _ignore() -> None:
    """Do nothing: nobody takes rows yet."""


class RowLane:
    """Rows of owners, who take turns; filled from the event loop, emptied by another thread.

    Attributes:
        on_change: called after rows have come, or the lane was closed.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = _ignore
        self._lock = threading.Lock()
        self._owners: OrderedDict[str, deque[Entry[ManifestRow]]] = OrderedDict()
        self._closed = False

    @property
    def exhausted(self) -> bool:
        """False until the server stops: another row may always come."""
        with self._lock:
            return self._closed and not self._owners

    def add(self, entries: Iterable[Entry[ManifestRow]], owner: str = "") -> None:
        """Add rows to the end of an owner's."""
        with self._lock:
            self._owners.setdefault(owner, deque()).extend(entries)
        self.on_change()

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` rows, one of each owner in turn."""
        taken: list[Entry[ManifestRow]] = []
        with self._lock:
            while self._owners and len(taken) < most:
                owner, rows = self._owners.popitem(last=False)
                if rows:
                    taken.append(rows.popleft())
                    self._owners[owner] = rows
        return taken

    def remove(self, row_id: str) -> Entry[ManifestRow] | None:
        """Take out a row that is no longer wanted; None if it is not here."""
        with self._lock:
            for rows in self._owners.values():
                found = next((entry for entry in rows if entry.row.id == row_id), None)
                if found is not None:
                    rows.remove(found)
                    return found
        return None

    def remove_all(self, owner: str) -> list[Entry[ManifestRow]]:
        """Take out all rows of an owner."""
        with self._lock:
            return list(self._owners.pop(owner, ()))

    def clear(self) -> None:
        """Drop the rows that wait; the database, or their run, still has them."""
        with self._lock:
            self._owners.clear()

    def close(self) -> None:
        """Drop the rows that wait, for the last time."""
        with self._lock:
            self._closed = True
            self._owners.clear()
        self.on_change()
