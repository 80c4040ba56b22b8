"""Reads rows ahead of the dispatcher in a thread, a bounded amount of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from pipelines.rows import ManifestEntry, RejectedRow

AHEAD_BYTES = 64 * 2**20
_CLOSE_S = 1.0
_MOST_PASSED = 256  # rejected rows per look, so that the caller is never held up for long


class RowFeeder:
    """A thread that pulls rows into a bounded queue; `take` never waits for storage.

    The rows' error, if they raise one, is raised by the `take` that gets there.
    """

    def __init__(
        self,
        batches: Iterator[Sequence[ManifestEntry]],
        *,
        ahead: int,
        ahead_bytes: int = AHEAD_BYTES,
    ) -> None:
        """Keep up to `ahead` rows read, of up to `ahead_bytes`, and the rest of a batch."""
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
        """Rows that are at hand."""
        with self._changed:
            return len(self._waiting)

    def take(self, most: int) -> list[ManifestEntry]:
        """Up to `most` rows that are at hand; empty where none is, yet or any more."""
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
        """Stop reading; a read that is under way is waited for a moment only.

        The thread then ends by itself: at the next batch, or when the store that it waits for
        answers or is given up.
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
        except BaseException as raised:  # noqa: BLE001 - handed over to `take`, which raises it
            error = raised
        with self._changed:
            self._error, self._ended = error, True

    def _put(self, entry: ManifestEntry) -> bool:
        """Add a row as soon as there is room; False when that is not wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._is_full())
            self._waiting.append(entry)
            self._waiting_bytes += entry.num_bytes
            return not self._closed

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._ahead or self._waiting_bytes >= self._ahead_bytes


class ValidRows:
    """The rows of a feeder that workers can work on; rejected ones are recorded on the way."""

    def __init__(
        self, feeder: RowFeeder, reject: Callable[[ManifestEntry, RejectedRow], None]
    ) -> None:
        self._feeder = feeder
        self._reject = reject
        self._at_hand: list[ManifestEntry] = []

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""
        return self._feeder.exhausted and not self._at_hand

    def take(self, most: int) -> list[ManifestEntry]:
        """Up to `most` valid rows that are at hand; where none is, passes some others."""
        self._look_for(most - len(self._at_hand))
        taken, self._at_hand = self._at_hand[:most], self._at_hand[most:]
        return taken

    def look_ahead(self) -> bool:
        """Whether a valid row is at hand; takes none, and passes a bounded number of others."""
        if not self._at_hand:
            self._look_for(1)
        return bool(self._at_hand)

    def _look_for(self, most: int) -> None:
        passed = 0
        while most > 0 and passed < _MOST_PASSED:
            entries = self._feeder.take(most)
            passed += len(entries)
            for entry in entries:
                if isinstance(entry.row, RejectedRow):
                    self._reject(entry, entry.row)
                else:
                    self._at_hand.append(entry)
            if self._at_hand or not entries:
                return
