"""The rows of one actor: a call brings some, and takes away the ones that have ended since.

Each call of Ray costs the driver half a millisecond, whatever it carries. So a call may bring
several rows, and brings back all that has ended, of its own rows and of earlier ones. A call with
one row returns as soon as a row ends.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipelines.rows import ManifestRow, Outcome

logger = logging.getLogger(__name__)

LINGER_S = 0.05
"""Longest time for which a row that has ended waits for others that came in the same call."""


class Ended(NamedTuple):
    """A row that has ended.

    Attributes:
        row_id: the row.
        outcome: its pickled `Outcome`; None: the worker's code raised.
        error: the traceback of that.
    """

    row_id: str
    outcome: bytes | None
    error: str = ""


class RowThreads:
    """Works on rows in threads, each at once. Thread-safe.

    The threads are daemons: nothing waits for a row in progress when the process ends.
    """

    def __init__(self, work: Callable[[ManifestRow], Outcome]) -> None:
        """Start without threads.

        Args:
            work: called in several threads at once. If it raises anything but an `Exception`, the
                process ends.
        """
        self._work = work
        self._rows: queue.SimpleQueue[ManifestRow] = queue.SimpleQueue()
        self._turn = threading.Lock()  # one call at a time waits for rows to end
        self._changed = threading.Condition()
        self._threads = 0
        self._at_work = 0
        self._ended: list[Ended] = []
        self._first_ended_at = 0.0
        self._in_haste = False

    def exchange(self, rows: Sequence[ManifestRow]) -> list[Ended]:
        """Begin `rows`, wait, and return the rows that have ended.

        The call returns once as many rows have ended as it has brought, or all; or `LINGER_S`
        after the first one, or at once after an urgent one. It returns nothing if other calls have
        taken it all.
        """
        self._begin(rows)
        with self._turn, self._changed:
            while not self._is_due(len(rows)):
                left_s = self._first_ended_at + LINGER_S - time.monotonic()
                self._changed.wait(max(0.0, left_s) if self._ended else None)
            taken, self._ended, self._in_haste = self._ended, [], False
            return taken

    def _begin(self, rows: Sequence[ManifestRow]) -> None:
        with self._changed:
            self._at_work += len(rows)
            missing = self._at_work - self._threads
            self._threads += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self._run, name="row", daemon=True).start()
        for row in rows:
            self._rows.put(row)

    def _is_due(self, wanted: int) -> bool:
        if not self._at_work or self._in_haste:
            return True
        if not self._ended:
            return False
        lingered = time.monotonic() >= self._first_ended_at + LINGER_S
        return lingered or 0 < wanted <= len(self._ended)

    def _run(self) -> None:
        while True:
            row = self._rows.get()
            ended = self._ended_row(row)
            with self._changed:
                self._at_work -= 1
                if not self._ended:
                    self._first_ended_at = time.monotonic()
                self._ended.append(ended)
                self._in_haste |= row.is_urgent
                self._changed.notify()

    def _ended_row(self, row: ManifestRow) -> Ended:
        try:
            return Ended(row.id, pickle.dumps(self._work(row), pickle.HIGHEST_PROTOCOL))
        except Exception:  # noqa: BLE001 (a bug, which the row's record tells)
            return Ended(row.id, None, traceback.format_exc())
        except BaseException:
            logger.critical("worker_ends row_id=%s", row.id, exc_info=True)
            os._exit(1)
