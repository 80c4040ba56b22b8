"""Images → files on storage, under names that come from the row alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from pipelines.errors import StorageError
from pipelines.failures import Failure, RowFailedError
from pipelines.formats import ImageEncoding
from pipelines.image_names import image_path
from pipelines.storage.storage import Storage


@dataclass(frozen=True, slots=True)
class Stored:
    """One image file as it lies on storage.

    Attributes:
        uri: without credentials.
        sha256: of the file, in hex.
        num_bytes: of the file.
    """

    uri: str
    sha256: str
    num_bytes: int


class ImageStore:
    """Encodes and writes the images of rows; safe to share between threads.

    The same images give the same files, byte for byte, under the same names: writing a row again
    changes nothing.
    """

    def __init__(self, storage: Storage, encoding: ImageEncoding) -> None:
        self._storage = storage
        self._encoding = encoding

    def save(self, row_id: str, images: Sequence[Image.Image]) -> list[Stored]:
        """Write all images of one row; they are encoded before the first one is written.

        Raises:
            RowFailedError: `storage_write`, after storage has been given time to recover.
        """
        files = [self._encoding.encode(image) for image in images]
        return [
            self._write(image_path(row_id, index, len(files), self._encoding.extension), data)
            for index, data in enumerate(files)
        ]

    def _write(self, path: str, data: bytes) -> Stored:
        try:
            uri = self._storage.write(path, data)
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        return Stored(uri, hashlib.sha256(data).hexdigest(), len(data))
