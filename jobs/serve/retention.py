"""Deletes files and ended tasks whose time is over."""

from __future__ import annotations

import asyncio
import logging

from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.service import Service
from jobs.serve.store.database import now_ms
from pipelines.errors import StorageError

logger = logging.getLogger(__name__)

_EVERY_S = 600.0
_AT_ONCE = 200
_DAY_MS = 86_400_000


async def delete_expired(service: Service) -> None:
    """Delete, every ten minutes, until this coroutine is cancelled."""
    while True:
        try:
            while await sweep(service):
                pass
        except (StorageError, DatabaseUnavailableError) as error:  # tried again in ten minutes
            logger.warning("expired_files_left error=%s", error)
        await asyncio.sleep(_EVERY_S)


async def sweep(service: Service) -> int:
    """Delete some expired files and tasks, and return their number; 0 if none is left."""
    doomed = await service.files.expired(_AT_ONCE)
    await service.files.delete(doomed)
    since = now_ms() - round(service.config.serve.keep_days * _DAY_MS)
    old = await service.history.ended_before(since, _AT_ONCE)
    await service.tasks.delete(old)
    return len(doomed) + len(old)
