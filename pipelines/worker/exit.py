"""How a worker process ends itself when its device is lost, so that it is replaced."""

from __future__ import annotations

import logging
import os
from contextlib import suppress

logger = logging.getLogger(__name__)

EXIT_GPU_LOST = 87
"""Exit code of a worker process whose GPU, or its CUDA context, is lost."""


def exit_gpu_lost(error: BaseException) -> None:
    """End this process at once: a lost GPU comes back, if at all, in a new process only.

    Not `sys.exit`: no clean-up may touch the device, and no thread may hold the process back.
    """
    logger.critical("gpu_lost exit_code=%d error=%s", EXIT_GPU_LOST, error)
    for handler in logging.getLogger().handlers:
        with suppress(OSError, ValueError):
            handler.flush()
    os._exit(EXIT_GPU_LOST)
