"""Read a bounded number of rows ahead of the dispatcher, in a thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from pipelines.rows import Entry, ManifestEntry, ManifestRow, RejectedRow, is_valid

AHEAD_BYTES = 64 * 2**20
_CLOSE_S = 1.0
_MOST_PASSED = 256  # rejected rows per look, so that the caller is never held up for long


class RowFeeder:
    """A thread that pulls rows into a bounded queue; `take` never waits for storage.

    An error of the row iterator is raised by the `take` that reaches it.
    """

    def __init__(
        self,
        batches: Iterator[Sequence[ManifestEntry]],
        *,
        ahead: int,
        ahead_bytes: int = AHEAD_BYTES,
    ) -> None:
        """Keep up to `ahead` rows of up to `ahead_bytes`, plus the rest of a batch."""
        self._batches = batches
        self._ahead = ahead
        self._ahead_bytes = ahead_bytes
        self._changed = threading.Condition()
        self._waiting: deque[ManifestEntry] = deque()
        self._waiting_bytes = 0
        self._error: BaseException | None = None
        self._ended = False
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="row-feeder", daemon=True)
        self._thread.start()

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""
        with self._changed:
            return self._ended and not self._waiting and self._error is None

    @property
    def waiting(self) -> int:
        """Number of rows in the queue."""
        with self._changed:
            return len(self._waiting)

    def take(self, most: int) -> list[ManifestEntry]:
        """Take up to `most` rows from the queue; the list is empty if the queue is."""
        taken: list[ManifestEntry] = []
        with self._changed:
            while self._waiting and len(taken) < most:
                entry = self._waiting.popleft()
                self._waiting_bytes -= entry.num_bytes
                taken.append(entry)
            if most > 0 and not taken and self._error is not None:
                raise self._error
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Stop reading, without waiting long for a read in progress.

        The thread then ends at the next batch, or once its store answers or times out.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            for batch in self._batches:
                if not all(self._put(entry) for entry in batch) or self._closed:
                    return
        except BaseException as raised:  # noqa: BLE001 - `take` raises it
            error = raised
        with self._changed:
            self._error, self._ended = error, True

    def _put(self, entry: ManifestEntry) -> bool:
        """Add a row once there is room; return False if the feeder was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._is_full())
            self._waiting.append(entry)
            self._waiting_bytes += entry.num_bytes
            return not self._closed

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._ahead or self._waiting_bytes >= self._ahead_bytes


class ValidRows:
    """The valid rows of a feeder; rejected rows on the way are passed to `reject`."""

    def __init__(
        self, feeder: RowFeeder, reject: Callable[[ManifestEntry, RejectedRow], None]
    ) -> None:
        self._feeder = feeder
        self._reject = reject
        self._ready: list[Entry[ManifestRow]] = []

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""
        return self._feeder.exhausted and not self._ready

    def take(self, most: int) -> list[Entry[ManifestRow]]:
        """Take up to `most` valid rows; pass a bounded number of rejected ones on the way."""
        self._look_for(most - len(self._ready))
        taken, self._ready = self._ready[:most], self._ready[most:]
        return taken

    def look_ahead(self) -> bool:
        """Return True if a valid row is ready; pass a bounded number of rejected ones."""
        if not self._ready:
            self._look_for(1)
        return bool(self._ready)

    def _look_for(self, most: int) -> None:
        passed = 0
        while most > 0 and passed < _MOST_PASSED:
            entries = self._feeder.take(most)
            passed += len(entries)
            for entry in entries:
                if is_valid(entry):
                    self._ready.append(entry)
                elif isinstance(entry.row, RejectedRow):
                    self._reject(entry, entry.row)
            if self._ready or not entries:
                return
