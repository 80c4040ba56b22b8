"""Distinguish an unwritable output from a single row whose images could not be stored.

Without it, a missing bucket, expired credentials or a full disk would fail row after row: each
would be generated several times and recorded as failed.
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
    """Write a probe to the output when a worker reports that it could not store.

    If the probe succeeds, the fault is the worker's or the row's own, and the output is trusted for
    30 seconds.
    """

    def __init__(self, output: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        """Guard `output`; its patience bounds the wait for a passing fault."""
        self._output = output
        self._clock = clock
        self._trusted_until = float("-inf")

    def look_into(self, failure: Failure) -> None:
        """Probe the output if `failure` is a storage failure.

        Raises:
            StorageError: nothing can be stored; the message gives the reason.
        """
        if failure.code != "storage_write" or self._clock() < self._trusted_until:
            return
        logger.warning("output_checked after=%r", failure.message)
        path = f"run/probe-{secrets.token_hex(8)}"
        self._output.write(path, bytes(_PROBE_BYTES))
        self._output.delete(path)
        self._trusted_until = self._clock() + _TRUSTED_S
