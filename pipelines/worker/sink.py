"""Sinks: where a worker puts the finished images of its rows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.errors import StorageError
from pipelines.failures import Failure, RowFailedError
from pipelines.image_names import overwrite_note
from pipelines.ledger.lease import read_holder
from pipelines.rows import ManifestRow
from pipelines.storage.storage import Storage

_LEASE_TRUSTED_S = 5.0  # an actor reads the lease at most this often


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One finished image, encoded.

    Attributes:
        data: content of the file.
        extension: extension of the file, without a dot.
    """

    data: bytes
    extension: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image that a sink has taken.

    Attributes:
        uri: location of the image, without credentials.
        sha256: hash of the file, in hex.
        num_bytes: size of the file.
    """

    uri: str
    sha256: str
    num_bytes: int

    @classmethod
    def of(cls, uri: str, data: bytes) -> StoredImage:
        """Describe a file that was stored at `uri`."""
        return cls(uri, hashlib.sha256(data).hexdigest(), len(data))


class Sink(Protocol):
    """Takes the images of rows; several threads call it at once, each with another row."""

    def save(self, row: ManifestRow, files: Sequence[ImageFile]) -> list[StoredImage]:
        """Store all images of a row.

        A row may come again, after a retry or in a later run. Saving the same files again must
        change nothing.

        Args:
            row: the row; a sink may choose by it where the images go.
            files: the images, in the order of their seeds.

        Raises:
            RowFailedError: `storage_write`; the row fails and may be retried.
        """


class FolderSink:
    """Writes into the folder of a run, under names that follow from the row alone.

    Actors outlive a driver that is suspended, or are suspended with it. If another driver has taken
    over the output, its images must not be overwritten by theirs. So an image is created, if the
    store can do that (see `Storage.create`). If there is one, of an earlier run or of the driver
    that has taken over, the lease is read again before it is overwritten, and a note is left for
    the next run; see `pipelines.checks.overwritten`.

    Args:
        folder: the output.
        run_id: id of the run that must hold the lease of the folder; None: there is no lease.
        clock: in seconds.
    """

    def __init__(
        self,
        folder: Storage,
        run_id: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._run_id = run_id
        self._clock = clock
        self._trusted_until = float("-inf")

    def save(self, row: ManifestRow, files: Sequence[ImageFile]) -> list[StoredImage]:
        """See `Sink`.

        Raises:
            RowFailedError: `storage_write`, after the storage has had time to recover; or another
                driver has taken over the folder.
        """
        if self._clock() >= self._trusted_until:
            self._confirm()
        paths = row.paths(files[0].extension, len(files)) if files else ()
        return [self._write(path, file.data) for path, file in zip(paths, files, strict=True)]

    def _confirm(self) -> None:
        if self._run_id is None:
            return
        try:
            holder = read_holder(self._folder)
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        if holder is None or holder.run_id != self._run_id:
            uri = self._folder.uri()
            message = (
                f"{uri}: this run no longer holds the lease of the output; nothing was written"
            )
            raise RowFailedError(Failure("storage_write", message, uri=uri))
        self._trusted_until = self._clock() + _LEASE_TRUSTED_S

    def _created(self, path: str, data: bytes) -> bool:
        """Store a new image; return False if there may be one, which this run may replace."""
        if self._folder.creates:
            if self._folder.create(path, data):
                return True
            self._confirm()
            return False
        if self._run_id is None or self._folder.exists(path):
            return False
        self._folder.write(path, data)
        return True

    def _write(self, path: str, data: bytes) -> StoredImage:
        try:
            if not self._created(path, data):
                if self._run_id is not None:
                    note = overwrite_note(path, hashlib.sha256(data).hexdigest())
                    self._folder.write(note, b"")
                self._folder.write(path, data)
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        return StoredImage.of(self._folder.uri(path), data)
