"""The one error of storage."""

from __future__ import annotations

from pipelines.storage.faults import Fault


class StorageError(Exception):
    """Storage could not do what was asked.

    Attributes:
        uri: what it was about, without credentials.
        reason: what is wrong and what to do.
        fault: its kind; `unavailable` is the only one where trying again can help.
    """

    def __init__(self, uri: str, reason: str, fault: Fault = "unusable") -> None:
        super().__init__(uri, reason, fault)
        self.uri = uri
        self.reason = reason
        self.fault: Fault = fault

    def __str__(self) -> str:
        return f"{self.uri}: {self.reason}"
