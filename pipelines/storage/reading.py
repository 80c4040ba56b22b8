"""A reader's handling of faults: it waits out the ones that may pass, and raises its own errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pipelines.errors import Fault
from pipelines.storage.faults import fault_of
from pipelines.storage.patience import Patience

T = TypeVar("T")
ErrorOf = Callable[[str, Fault, Exception], Exception]
"""Creates the error to raise from the URI concerned, the fault and its cause."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reader's handling of faults.

    Attributes:
        error_of: creates the error for a fault that stays.
        patience: limits of the retries for a fault that may pass.
        on_wait: called with the URI and the error before each wait.
    """

    error_of: ErrorOf
    patience: Patience = field(default_factory=Patience)
    on_wait: Callable[[str, BaseException], None] = lambda _uri, _error: None

    def call(self, uri: str, operation: Callable[[], T]) -> T:
        """Return the result of `operation` on `uri`; errors that are not faults pass through."""
        try:
            return self.patience.call(operation, on_wait=lambda e: self.on_wait(uri, e))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise self.error_of(uri, fault, error) from error

    def exists(self, uri: str, look: Callable[[], object]) -> bool:
        """Return False if `look` finds nothing at `uri`, or may not look; outages raise."""
        try:
            self.patience.call(look, on_wait=lambda e: self.on_wait(uri, e))
        except (ValueError, NotImplementedError):  # no name that this filesystem can have
            return False
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if fault == "unavailable":
                raise self.error_of(uri, fault, error) from error
            return False
        return True
