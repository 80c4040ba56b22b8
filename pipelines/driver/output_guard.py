"""Tells an output that cannot be written from a row whose images could not be stored.

Without it, a bucket that is gone, credentials that have expired or a full disk would be met row by
row: each drawn several times, and each recorded as failed.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from pipelines.failures import Failure
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

_PROBE_BYTES = 4 * 2**20  # as large as a large image, so that a nearly full disk is noticed
_TRUSTED_S = 30.0


class OutputGuard:
    """Writes to the output itself when a worker says that it could not.

    Where that works, it is the worker's or the row's own trouble, and the output is trusted for a
    while.
    """

    def __init__(self, output: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        """Guard `output`; its patience is how long a fault that may pass is waited for."""
        self._output = output
        self._clock = clock
        self._trusted_until = float("-inf")

    def look_into(self, failure: Failure) -> None:
        """Check the output where `failure` is one of storing.

        Raises:
            StorageError: nothing can be stored, for the reason that it names.
        """
        if failure.code != "storage_write" or self._clock() < self._trusted_until:
            return
        logger.warning("output_checked after=%r", failure.message)
        path = f"run/probe-{secrets.token_hex(8)}"
        self._output.write(path, bytes(_PROBE_BYTES))
        self._output.delete(path)
        self._trusted_until = self._clock() + _TRUSTED_S
