"""Syncs of SQLite's log (WAL) to the disk, shared by those who wait."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from jobs.serve.store.engines import sync_folder

_AT_ONCE = 2
"""Syncs under way: a commit during the first one need not wait for its end."""


class LogSync:
    """Syncs a file that other code writes.

    SQLite's own sync with `synchronous=FULL` is the same call after a commit. It holds the lock of
    the writer meanwhile.
    """

    def __init__(self, path: str) -> None:
        """Open the file at `path`, and sync the folder that has its name."""
        self._file = os.open(path, os.O_RDWR)
        sync_folder(Path(path).parent)
        self._threads = ThreadPoolExecutor(_AT_ONCE + 1, thread_name_prefix="sync")
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._next: asyncio.Task[None] | None = None  # has not begun
        self._last: asyncio.Task[None] | None = None  # the newest one
        self._under_way: set[asyncio.Task[None]] = set()

    async def synced(self) -> None:
        """Wait until everything is on the disk that was written before this call.

        Raises:
            OSError: the disk has failed.
        """
        if self._next is None:
            self._next = self._last = asyncio.create_task(self._sync())
            self._under_way.add(self._next)
            self._next.add_done_callback(self._under_way.discard)
        await asyncio.shield(self._next)

    async def settled(self) -> None:
        """Wait until everything is on the disk for which `synced` was called before.

        Raises:
            OSError: the disk has failed.
        """
        if self._last is not None:
            await asyncio.shield(self._last)

    async def run(self, work: Callable[[], None]) -> None:
        """Run work that syncs, too, in a thread."""
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Close the file, after the syncs that are under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._threads.shutdown()
        os.close(self._file)

    async def _sync(self) -> None:
        async with self._slots:
            self._next = None  # a commit from now on may be too late for this one
            await self.run(partial(os.fdatasync, self._file))
