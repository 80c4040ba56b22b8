"""Images → files on storage, under names that come from the row alone."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from pipelines.config.output import OutputConfig
from pipelines.errors import StorageError
from pipelines.failures import Failure, RowFailedError
from pipelines.storage.storage import Storage

_EXTENSIONS = {"png": "png", "webp": "webp", "jpeg": "jpg"}
_PNG_LEVEL = 1

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_LIKE_OURS = re.compile(r"_\d$|-[0-9a-f]{24}$")  # what image_path itself adds to a name
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


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

    def __init__(self, storage: Storage, config: OutputConfig) -> None:
        self._storage = storage
        self._config = config
        self._extension = _EXTENSIONS[config.format]

    def save(self, row_id: str, images: Sequence[Image.Image]) -> list[Stored]:
        """Write all images of one row; they are encoded before the first one is written.

        Raises:
            RowFailedError: `storage_write`, after storage has been given time to recover.
        """
        files = [encode_image(image, self._config) for image in images]
        return [
            self._write(image_path(row_id, index, len(files), self._extension), data)
            for index, data in enumerate(files)
        ]

    def _write(self, path: str, data: bytes) -> Stored:
        try:
            uri = self._storage.write(path, data)
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        return Stored(uri, hashlib.sha256(data).hexdigest(), len(data))


def encode_image(image: Image.Image, config: OutputConfig) -> bytes:
    """The file of an image, in the format and quality that `config` asks for."""
    buffer = io.BytesIO()
    # Of `info`, encoders write what they know into the file.
    bare = image.copy()
    bare.info.clear()
    bare.save(buffer, config.format.upper(), **_encoder_options(config))
    return buffer.getvalue()


def image_path(row_id: str, index: int, count: int, ext: str) -> str:
    """The path of a row's image, relative to the output folder.

    Args:
        row_id: any string.
        index: of the image within its row, from 0; at most 9.
        count: images of the row; one alone carries no number.
        ext: of the file, without its dot.

    Returns:
        `images/<2 hex digits>/<name>[_<index>].<ext>`. The name is the id where that is short,
        plain and lower case, else what can be read of it and a hash: no two ids share a file, not
        even where storage takes upper and lower case for the same.
    """
    if not 0 <= index < min(count, 10):
        raise ValueError(f"image {index} of {count}: give an index below the count, and below 10")
    digest = hashlib.sha256(row_id.encode("utf-8", "surrogatepass")).hexdigest()
    name = row_id if _is_plain(row_id) else f"{_readable(row_id)}-{digest[:24]}"
    number = f"_{index}" if count > 1 else ""
    return f"images/{digest[:2]}/{name}{number}.{ext}"


def _is_plain(row_id: str) -> bool:
    return _PLAIN.fullmatch(row_id) is not None and _LIKE_OURS.search(row_id) is None


def _readable(row_id: str) -> str:
    return _UNSAFE.sub("_", row_id)[:48].strip("._-") or "row"


def _encoder_options(config: OutputConfig) -> dict[str, Any]:
    if config.format == "png":
        return {"compress_level": _PNG_LEVEL}
    if config.format == "webp" and config.lossless:
        return {"lossless": True, "quality": 50, "method": 1}
    if config.format == "webp":
        return {"quality": config.quality, "method": 4}
    return {"quality": config.quality, "subsampling": "4:4:4" if config.quality >= 90 else "4:2:0"}
