"""Limits of a key, beside those of the whole server."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from jobs.serve.errors import ApiError
from jobs.serve.store.files import FileStore
from jobs.serve.store.keys import Key, KeyStore
from jobs.serve.store.tasks import TaskStore


class Quota:
    """Refuses the requests of a key that has used up a limit.

    The count of submits is in memory, so that a restart forgets the last minute.
    """

    def __init__(self, keys: KeyStore, tasks: TaskStore, files: FileStore) -> None:
        self._keys = keys
        self._tasks = tasks
        self._files = files
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def check_submit(self, key: Key) -> None:
        """Count a submit.

        Raises:
            ApiError: the key has too many tasks that wait, or submits too often.
        """
        queued = key.limits.queued
        if queued is not None and await self._tasks.count_waiting(key.id) >= queued:
            message = f"this key may have {queued:,} waiting tasks; wait until one is at work"
            raise ApiError(429, message, headers={"Retry-After": "10"})
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

    async def check_upload(self, key: Key, num_bytes: int) -> None:
        """Raise `ApiError` if `num_bytes` more would be more than the key may store."""
        most = key.limits.stored_mb
        if most is not None and await self._files.stored_bytes(key.id) + num_bytes > most * 10**6:
            raise ApiError(413, f"this key may store {most:,} MB; delete files or tasks")

    async def check_inline(self, key_id: str, num_bytes: int) -> None:
        """Do the same for an image inside a request."""
        key = await self._keys.get(key_id)
        if key is not None:
            await self.check_upload(key, num_bytes)
