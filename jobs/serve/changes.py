"""Wakes those who wait for a task: open streams and requests in sync mode."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Changes:
    """Tells waiters, in the server's event loop, that a task has changed."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closing = False

    @property
    def closing(self) -> bool:
        """True once the server stops: waiters should end."""
        return self._closing

    def tell(self, task_id: str) -> None:
        """Wake those who wait for a task."""
        for event in self._waiting.get(task_id, ()):
            event.set()

    def close(self) -> None:
        """Wake everyone, for the last time."""
        self._closing = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    def watching(self, task_id: str) -> Watch:
        """Return a context manager that misses no change inside its block."""
        return Watch(self._waiting, task_id)


class Watch:
    """Waits for the changes of one task; see `Changes.watching`."""

    def __init__(self, waiting: defaultdict[str, set[asyncio.Event]], task_id: str) -> None:
        self._waiting = waiting
        self._task_id = task_id
        self._event = asyncio.Event()

    def __enter__(self) -> Watch:
        self._waiting[self._task_id].add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting[self._task_id].discard(self._event)
        if not self._waiting[self._task_id]:
            del self._waiting[self._task_id]

    async def changed(self, timeout_s: float) -> bool:
        """Wait for a change since the last call, or the time; return True for a change."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout_s)
        except asyncio.TimeoutError:  # not the built-in one on Python 3.10
            return False
        self._event.clear()
        return True
