"""Ends a worker process whose device is lost, so that the driver replaces the worker."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

logger = logging.getLogger(__name__)

EXIT_GPU_LOST = 87
"""Exit code of a worker process whose GPU, or its CUDA context, is lost."""


def exit_gpu_lost(error: BaseException) -> None:
    """End this process at once: a lost GPU comes back only in a new process, if at all.

    `sys.exit` would run clean-up code, which might touch the device, and wait for threads.
    """
    logger.critical("gpu_lost exit_code=%d error=%s", EXIT_GPU_LOST, error)
    for handler in logging.getLogger().handlers:
        with suppress(OSError, ValueError):
            handler.flush()
    os._exit(EXIT_GPU_LOST)
