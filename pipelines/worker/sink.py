"""Sinks: where a worker puts the finished images of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.errors import StorageError
from pipelines.failures import Failure, RowFailedError
from pipelines.image_names import image_path
from pipelines.rows import ManifestRow
from pipelines.storage.storage import Storage


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
    """Writes into the folder of a run, under names that follow from the row's id alone."""

    def __init__(self, folder: Storage) -> None:
        self._folder = folder

    def save(self, row: ManifestRow, files: Sequence[ImageFile]) -> list[StoredImage]:
        """See `Sink`.

        Raises:
            RowFailedError: `storage_write`, after the storage has had time to recover.
        """
        paths = (
            image_path(row.id, index, len(files), file.extension)
            for index, file in enumerate(files)
        )
        return [self._write(path, file.data) for path, file in zip(paths, files, strict=True)]

    def _write(self, path: str, data: bytes) -> StoredImage:
        try:
            uri = self._folder.write(path, data)
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        return StoredImage.of(uri, data)
