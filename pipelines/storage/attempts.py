"""Attempts of a storage's operations: faults that may pass are waited out, once for all of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from pipelines.errors import StorageError
from pipelines.storage.faults import fault_of
from pipelines.storage.filesystems import Options
from pipelines.storage.outage import Outage
from pipelines.storage.patience import Patience
from pipelines.storage.reasons import WHAT_TO_DO, public_cause, reason_of

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Attempts:
    """Safe to share between threads.

    Attributes:
        patience: limits of the retries of one operation.
        outage: the time for which no operation has succeeded.
    """

    def __init__(self, patience_s: float, options: Options) -> None:
        """Begin without an outage.

        Args:
            patience_s: seconds for which faults that may pass are waited out: by each operation,
                and by all of them together while none succeeds.
            options: fsspec options by protocol, whose secrets no message shows.
        """
        self.patience = Patience(patience_s)
        self.outage = Outage(patience_s)
        self._patience_s = patience_s
        self._options = options

    def call(self, uri: str, operation: Callable[[], T]) -> T:
        """Return the result of `operation`; errors that are not faults pass through.

        Args:
            uri: the URI concerned, for messages, without credentials.
            operation: safe to repeat.

        Raises:
            StorageError: the fault stays.
        """
        try:
            return self.patience.call(
                lambda: self._attempt(uri, operation),
                give_up=lambda: self.outage.over_patience,
            )
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            reason = reason_of(fault, error, self._options)
            raise StorageError(uri, reason, fault) from error

    def _attempt(self, uri: str, operation: Callable[[], T]) -> T:
        """Do `operation` once and note its success or failure for the outage."""
        if self.outage.given_up:
            reason = f"unavailable for {self._patience_s:g} s; {WHAT_TO_DO['unavailable']}"
            raise StorageError(uri, reason, "unavailable")
        started = time.monotonic()
        try:
            result = operation()
        except Exception as error:
            fault = fault_of(error)
            if fault == "unavailable":
                self.outage.failed(started)
                cause = public_cause(error, self._options)
                logger.warning("storage_unavailable uri=%s cause=%s", uri, cause)
            elif fault is not None:
                self.outage.worked()
            raise
        self.outage.worked()
        return result
