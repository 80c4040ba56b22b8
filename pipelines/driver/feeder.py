"""Reads rows ahead of the dispatcher in a thread, a bounded number of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from pipelines.rows import ManifestEntry

_BATCH = 64
_POLL_S = 0.1


class RowFeeder:
    """A thread that pulls an iterator into a bounded queue; `take` never waits for storage.

    The iterator's error, if it raises one, is raised by the `take` that gets there.
    """

    def __init__(self, entries: Iterator[ManifestEntry], *, ahead: int) -> None:
        """Keep up to about `ahead` rows read."""
        self._entries = entries
        self._ready: list[ManifestEntry] = []
        self._queue: queue.Queue[list[ManifestEntry] | BaseException | None] = queue.Queue(
            maxsize=max(2, ahead // _BATCH)
        )
        self._closed = threading.Event()
        self._exhausted = False
        self._thread = threading.Thread(target=self._read, name="row-feeder", daemon=True)
        self._thread.start()

    @property
    def exhausted(self) -> bool:
        """True when every row has been taken."""
        return self._exhausted and not self._ready

    def take(self, most: int) -> list[ManifestEntry]:
        """Up to `most` rows that are at hand; empty where none is, yet or any more."""
        while len(self._ready) < most and not self._exhausted:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(item, BaseException):
                raise item
            if item is None:
                self._exhausted = True
            else:
                self._ready.extend(item)
        taken, self._ready = self._ready[:most], self._ready[most:]
        return taken

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        self._thread.join()

    def _read(self) -> None:
        batch: list[ManifestEntry] = []
        try:
            for entry in self._entries:
                batch.append(entry)
                if len(batch) >= _BATCH or self._queue.empty():
                    if not self._put(batch):
                        return
                    batch = []
        except BaseException as error:  # noqa: BLE001 - handed over to `take`, which raises it
            self._put(error)
            return
        if batch:
            self._put(batch)
        self._put(None)

    def _put(self, item: list[ManifestEntry] | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
