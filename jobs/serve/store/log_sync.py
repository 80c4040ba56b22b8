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
        # One for each sync under way: the kernel tells each open file of a fault once.
        self._files = [os.open(path, os.O_RDWR) for _ in range(_AT_ONCE)]
        sync_folder(Path(path).parent)
        self._threads = ThreadPoolExecutor(_AT_ONCE + 1, thread_name_prefix="sync")
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._next: asyncio.Task[None] | None = None  # has not begun
        self._last: asyncio.Task[None] | None = None  # the newest one
        self._under_way: set[asyncio.Task[None]] = set()
        self._fault: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

    async def synced(self) -> None:
        """Wait until everything is on the disk that was written before this call.

        One who gives up waits, too: the end of the wait may show the rows to others.

        Raises:
            OSError: the disk has failed.
        """
        self.check()
        if self._next is None:
            self._next = self._last = asyncio.create_task(self._sync())
            self._under_way.add(self._next)
            self._next.add_done_callback(self._under_way.discard)
        sync = self._next
        try:
            await asyncio.shield(sync)
        except asyncio.CancelledError:
            await asyncio.wait({sync})
            raise

    async def settled(self) -> None:
        """Wait until everything is on the disk for which `synced` was called before.

        Raises:
            OSError: the disk has failed.
        """
        self.check()
        if self._last is not None:
            await asyncio.shield(self._last)

    def check(self) -> None:
        """Raise the first fault, if there was one.

        The kernel reports a failed write once, and drops it: the next sync succeeds without the
        part of the log that is missing, and all that comes after it in the log is lost with it.
        """
        if self._fault.done():
            fault = self._fault.result()
            raise OSError(fault.errno, fault.strerror) from fault

    def fail(self, fault: OSError) -> None:
        """Let all waits from now on fail."""
        if not self._fault.done():
            self._fault.set_result(fault)

    async def fault(self) -> OSError:
        """Wait for the first fault, and return it."""
        return await asyncio.shield(self._fault)

    async def run(self, work: Callable[[], None]) -> None:
        """Run work that syncs, too, in a thread."""
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Close the files, after the syncs that are under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._threads.shutdown()
        for file in self._files:
            os.close(file)

    async def _sync(self) -> None:
        async with self._slots:
            self._next = None  # a commit from now on may be too late for this one
            file = self._files.pop()
            try:
                await self.run(partial(os.fdatasync, file))
            except OSError as fault:
                self.fail(fault)
            finally:
                self._files.append(file)
            self.check()
