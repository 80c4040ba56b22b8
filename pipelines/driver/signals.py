"""Graceful shutdown: turn Ctrl-C and SIGTERM into a request to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """While entered, SIGINT and SIGTERM raise `KeyboardInterrupt`.

    After `let_rows_end`, the first signal only sets `requested` and the second raises. Outside the
    main thread, where Python receives no signals, entering changes nothing.
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
        """Install the handlers; call again after a library (Ray does) has replaced them."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._SIGNALS:
            previous = signal.signal(number, self._handle)
            self._previous.setdefault(number, previous)

    def let_rows_end(self) -> None:
        """Treat signals as a request from now on: there are rows to finish and commit."""
        self._orderly = True

    def interrupt_at_once(self) -> None:
        """Raise on signals from now on, and at once if one has arrived before."""
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
