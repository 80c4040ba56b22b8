"""One file of the manifest: where it is, how it is written, and whether it has changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from pipelines.errors import Fault, ManifestError
from pipelines.storage.causes import cause_of
from pipelines.storage.patience import LOOK_S, Patience
from pipelines.storage.reading import Reading
from pipelines.storage.stored_file import ShortReadError, StoredFile

logger = logging.getLogger(__name__)

Partition = tuple[str, str | None]
"""A column in the name of a folder: its name and its value, which is null if None."""

_REASONS: dict[Fault, str] = {
    "not_found": "does not exist; check the path, and the bucket or container",
    "denied": "access is denied; check the credentials or the file's permissions",
    "unavailable": "does not answer; check the endpoint and the network, then run again",
    "full": "the store is full",
    "unusable": "cannot be read",
}


@dataclass(frozen=True)
class ManifestFile:
    """One file of the manifest.

    Attributes:
        data: the file itself; reading it raises `ManifestError`.
        folder: the base of relative references in it; ends with `/`.
        format: a key of `table_formats.FORMATS`.
        partitions: the columns in the names of its folders.
        max_row_bytes: the limit of a row, see `manifest.max_row_mb`.
        holder: keeps a temporary copy alive for as long as the file is known.
    """

    data: StoredFile
    folder: str
    format: str
    partitions: tuple[Partition, ...] = ()
    max_row_bytes: int = 256 * 10**6
    holder: object = field(default=None, compare=False, repr=False)

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""
        return self.data.uri

    def looked_at(self) -> ManifestFile:
        """Return the same file with its current size and version.

        Raises:
            ManifestError: it is gone or unreadable.
        """
        return replace(self, data=self.data.looked_at())

    def check_unchanged(self) -> None:
        """Raise `ManifestError` if the file is gone or has changed since it was looked at."""
        if self.looked_at() != self:
            raise ManifestError(
                self.uri,
                "changed after the run had looked at it; run the same command again: "
                "rows that are done are skipped",
            )


def _error(uri: str, fault: Fault, error: Exception) -> ManifestError:
    if isinstance(error, ShortReadError):
        return ManifestError(uri, "is shorter than it was; run the same command again")
    return ManifestError(uri, f"{_REASONS[fault]} ({cause_of(error)})")


def _on_wait(uri: str, error: BaseException) -> None:
    logger.warning("manifest_unavailable uri=%s cause=%s", uri, cause_of(error))


LOOKING = Reading(_error, Patience(seconds=LOOK_S), _on_wait)
"""For the first look at a place by a command that somebody waits for; raises `ManifestError`."""
READING = Reading(_error, on_wait=_on_wait)
"""Waits out faults, so that a short outage does not end a run of days; raises `ManifestError`."""
