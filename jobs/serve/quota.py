"""Limits of a key, beside those of the whole server."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from jobs.serve.errors import ApiError
from jobs.serve.store.files import FileStore
from jobs.serve.store.keys import Key, KeyStore
from jobs.serve.store.tasks import TaskStore


class Quota:
    """Refuses the requests of a key that has used up a limit.

    Tasks and files count from the check on, so that requests at once do not exceed a limit. The
    count of submits is in memory, so that a restart forgets the last minute.
    """

    def __init__(self, keys: KeyStore, tasks: TaskStore, files: FileStore) -> None:
        self._keys = keys
        self._tasks = tasks
        self._files = files
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._coming: Counter[str] = Counter()  # tasks whose commit is under way
        self._storing: Counter[str] = Counter()  # bytes
        self._open: Counter[str] = Counter()  # streams
        self._looks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def num_coming(self) -> int:
        """Number of tasks that are being added, and do not wait yet."""
        return self._coming.total()

    @asynccontextmanager
    async def submitting(self, key: Key) -> AsyncIterator[None]:
        """Count a submit, whose task is added inside the block.

        Raises:
            ApiError: the key has too many tasks that wait, or submits too often.
        """
        queued = key.limits.queued
        if queued is not None:
            waiting = await self._tasks.count_waiting(key.id)
            if waiting + self._coming[key.id] >= queued:
                message = f"this key may have {queued:,} waiting tasks; wait until one is at work"
                raise ApiError(429, message, headers={"Retry-After": "10"})
        self._coming[key.id] += 1
        try:
            await self._count_submit(key)
            yield
        finally:
            _take(self._coming, key.id, 1)

    def check_open(self, key: Key) -> None:
        """Raise `ApiError` if a key may not open another stream, or wait for another task."""
        most = key.limits.streams
        if most is not None and self._open[key.id] >= most:
            message = f"this key may have {most:,} open streams and requests that wait; end one"
            raise ApiError(429, message, headers={"Retry-After": "10"})

    @contextmanager
    def open(self, key_id: str) -> Iterator[None]:
        """Count a stream of a key, or a request that waits for a task's end, inside the block."""
        self._open[key_id] += 1
        try:
            yield
        finally:
            _take(self._open, key_id, 1)

    @asynccontextmanager
    async def storing(self, key: Key, num_bytes: int) -> AsyncIterator[None]:
        """Count `num_bytes`, which are noted as a file's inside the block.

        Raises:
            ApiError: they would be more than the key may store.
        """
        most = key.limits.stored_mb
        if most is None:
            yield
            return
        async with self._looks[key.id]:
            coming = self._storing[key.id]  # first: a file that ends during the look counts twice
            if await self._files.stored_bytes(key.id) + coming + num_bytes > most * 10**6:
                raise ApiError(413, f"this key may store {most:,} MB; delete files or tasks")
            self._storing[key.id] += num_bytes
        try:
            yield
        finally:
            _take(self._storing, key.id, num_bytes)

    @asynccontextmanager
    async def storing_of(self, key_id: str, num_bytes: int) -> AsyncIterator[None]:
        """Do the same for the key with an id."""
        key = await self._keys.get(key_id)
        if key is None:
            yield
            return
        async with self.storing(key, num_bytes):
            yield

    async def _count_submit(self, key: Key) -> None:
        if key.limits.submits_per_min is None:
            return
        item = RateLimitItemPerMinute(key.limits.submits_per_min)
        if not await self._limiter.hit(item, key.id):
            stats = await self._limiter.get_window_stats(item, key.id)
            headers = {
                "Retry-After": str(max(1, math.ceil(stats.reset_time - time.time()))),
                "X-RateLimit-Remaining": str(stats.remaining),
                "X-RateLimit-Reset": str(math.ceil(stats.reset_time)),
            }
            most = key.limits.submits_per_min
            raise ApiError(429, f"this key may submit {most:,} tasks a minute", headers=headers)


def _take(counter: Counter[str], key_id: str, number: int) -> None:
    counter[key_id] -= number
    if not counter[key_id]:
        del counter[key_id]
