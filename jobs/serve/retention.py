"""Deletes files and ended tasks whose time is over, or that are too many."""

from __future__ import annotations

import asyncio
import logging

from jobs.serve.errors import DatabaseUnavailableError
from jobs.serve.service import Service
from jobs.serve.store.database import now_ms
from jobs.serve.store.old_files import OldFiles
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
    """Delete some old files and tasks, and return their number; 0 if none is left."""
    section, old_files = service.config.serve, OldFiles(service.database)
    expired = await old_files.expired(_AT_ONCE)
    await service.files.delete(expired)
    since = now_ms() - round(section.keep_days * _DAY_MS)
    old = await service.history.ended_before(since, _AT_ONCE)
    await service.tasks.delete(old)
    beyond = []
    if section.keep_gb is not None:
        beyond = await old_files.beyond(round(section.keep_gb * 10**9), _AT_ONCE)
        await service.files.delete(beyond)
        # A task without its images would have links to nothing.
        await service.tasks.delete([file.task_id for file in beyond if file.task_id is not None])
    return len(expired) + len(old) + len(beyond)
