"""The one error of everything that reads a manifest."""

from __future__ import annotations


class ManifestError(Exception):
    """The manifest cannot be read as a whole; a bad row never raises this.

    Attributes:
        where: the file, column or configuration key at fault, without credentials.
        reason: what is wrong there and what to do.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
