"""Ctrl-C and SIGTERM as a request to stop in good order."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """While entered, SIGINT and SIGTERM raise `KeyboardInterrupt`.

    After `let_rows_end`, the first one only sets `requested`, and the second one raises. Outside
    the main thread, where Python takes no signals, it changes nothing.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._orderly = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self.install()
        return self

    def install(self) -> None:
        """Take the signals; again, where a library (Ray does) has taken them in between."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._SIGNALS:
            previous = signal.signal(number, self._handle)
            self._previous.setdefault(number, previous)

    def let_rows_end(self) -> None:
        """There is something to finish and commit from now on, so that a signal is a request."""
        self._orderly = True

    def interrupt_at_once(self) -> None:
        """Nothing needs to be finished any more: a signal raises, also one that came before."""
        self._orderly = False
        if self.requested:
            raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested or not self._orderly:
            raise KeyboardInterrupt
        self.requested = True
