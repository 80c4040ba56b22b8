"""Syncs of SQLite's log (WAL) to the disk, shared by those who wait."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs.serve.store.engines import sync_folder

_AT_ONCE = 2
"""Syncs under way: a commit during the first one need not wait for its end."""


class _Sync:
    """One sync of the log, and those who wait for it.

    A waiter has a future of its own, for a waiter that is cancelled cancels its future.
    """

    __slots__ = ("ended", "waiters")

    def __init__(self) -> None:
        self.waiters: list[asyncio.Future[None]] = []
        self.ended = False

    def waiter(self) -> asyncio.Future[None]:
        """Return a future that is done when the sync has ended."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        return waiter

    def end(self) -> None:
        """Let the waiters go."""
        self.ended = True
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


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
        self._loop = asyncio.get_running_loop()
        self._next: _Sync | None = None  # has not begun
        self._last: _Sync | None = None  # the newest one
        self._under_way: set[_Sync] = set()  # with the one that has not begun
        self._fault: asyncio.Future[OSError] = self._loop.create_future()

    async def synced(self) -> None:
        """Wait until everything is on the disk that was written before this call.

        One who gives up waits, too: the end of the wait may show the rows to others.

        Raises:
            OSError: the disk has failed.
        """
        self.check()
        if self._next is None:
            self._next = self._last = _Sync()
            self._under_way.add(self._next)
            # Not now: the commits that are ready to be made share this sync.
            self._loop.call_soon(self._begin)
        sync = self._next
        try:
            await sync.waiter()
        except asyncio.CancelledError:
            if not sync.ended:
                await asyncio.wait({sync.waiter()})
            raise
        self.check()

    async def settled(self) -> None:
        """Wait until everything is on the disk for which `synced` was called before.

        Raises:
            OSError: the disk has failed.
        """
        self.check()
        if self._last is not None and not self._last.ended:
            await self._last.waiter()
            self.check()

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
        await self._loop.run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Close the files, after the syncs that are under way."""
        while self._under_way:
            await next(iter(self._under_way)).waiter()
        self._threads.shutdown()
        for file in self._files:
            os.close(file)

    def _begin(self) -> None:
        """Begin the next sync, if there is one and fewer than `_AT_ONCE` are under way."""
        if self._next is None or not self._files:
            return
        sync, self._next = self._next, None  # a commit from now on may be too late for this one
        self._threads.submit(self._sync, sync, self._files.pop())

    def _sync(self, sync: _Sync, file: int) -> None:
        """Sync, in a thread; the way back is one call, because the loop has other work to do."""
        fault: OSError | None = None
        try:
            os.fdatasync(file)
        except OSError as error:
            fault = error
        self._loop.call_soon_threadsafe(self._end, sync, file, fault)

    def _end(self, sync: _Sync, file: int, fault: OSError | None) -> None:
        self._files.append(file)
        if fault is not None:
            self.fail(fault)
        self._under_way.discard(sync)
        sync.end()
        self._begin()
