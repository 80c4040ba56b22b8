"""The checks of one image against its record; `IMAGE_CHECKS` lists them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from PIL import Image

from pipelines.formats import FORMAT_BY_SUFFIX
from pipelines.image_names import image_path, path_in_output
from pipelines.name_template import PICTURES
from pipelines.record import IMAGE_BYTES

_DAMAGED = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""Errors with which Pillow refuses a file."""


@dataclass(frozen=True, slots=True)
class RecordedImage:
    """One image as its record describes it.

    Attributes:
        record: the record of its row, with all columns.
        index: number of the image within its row, from 0.
        place: URI of the file that was read, without credentials.
        must_be_signed: True if its run has signed all of its images.
    """

    record: Mapping[str, Any]
    index: int
    place: str
    must_be_signed: bool = False

    @property
    def path(self) -> str | None:
        """Path of the image in its output; None if the record names no image of an output."""
        return path_in_output(self.record["outputs"][self.index])


class Fault(NamedTuple):
    """One problem of an image.

    Attributes:
        kind: a short name, the same for all problems of a kind.
        message: the problem and the remedy, for users.
    """

    kind: str
    message: str


class ImageCheck(Protocol):
    """A check of one image. Several threads call it at once, each with another image."""

    def __call__(self, image: RecordedImage, data: bytes, /) -> Iterator[Fault]:
        """Yield the faults of an image.

        Args:
            image: the image, with the record of its row.
            data: content of its file.
        """


def check_name(image: RecordedImage, _data: bytes) -> Iterator[Fault]:
    """Check that the file has the name of its row; `output.name` may give any name."""
    path, record = image.path, image.record
    if path is None or path.startswith(f"{PICTURES}/"):
        return
    extension = PurePosixPath(path).suffix.removeprefix(".")
    expected = image_path(record["id"], image.index, len(record["outputs"]), extension)
    if path != expected:
        yield Fault(
            "image_of_another_row",
            f"the record names {path}, and images of this row are named {expected}; the record "
            "was changed: generate the row again",
        )


def check_content(image: RecordedImage, data: bytes) -> Iterator[Fault]:
    """Check the size of the file and its SHA-256."""
    sizes = image.record.get(IMAGE_BYTES)
    num_bytes = None if sizes is None else sizes[image.index]
    remedy = "restore the file, or generate the row again with uso run --check-images=full"
    if not data:
        yield Fault("image_empty", f"the file is empty; {remedy}")
    elif hashlib.sha256(data).hexdigest() != image.record["sha256"][image.index]:
        sized = "" if num_bytes in (None, len(data)) else f", and {num_bytes:,} are recorded"
        yield Fault(
            "image_changed",
            f"the file has {len(data):,} bytes{sized}, and another SHA-256 than its record; "
            f"{remedy}",
        )
    elif num_bytes is not None and num_bytes != len(data):
        yield Fault(
            "record_changed",
            f"the file has the recorded SHA-256 and {len(data):,} bytes, and {num_bytes:,} are "
            "recorded; the record was changed: generate the row again",
        )


def check_pixels(image: RecordedImage, data: bytes) -> Iterator[Fault]:
    """Check the format of the file, its width and its height; reads the header alone."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            found, size = str(opened.format).lower(), opened.size
    except _DAMAGED as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        yield Fault("image_unreadable", f"the file is as recorded, but not an image: {reason}")
        return
    path = image.path or image.place
    named = FORMAT_BY_SUFFIX.get(PurePosixPath(path).suffix.lower())
    if named != found:
        yield Fault("image_format", f"the file is {found}, and its name says {named or path}")
    recorded = image.record["width"], image.record["height"]
    if recorded != size:
        yield Fault(
            "image_dimensions",
            f"the image has {size[0]} x {size[1]} pixels, and {recorded[0]} x {recorded[1]} are "
            "recorded; the record was changed: generate the row again",
        )


IMAGE_CHECKS: Sequence[ImageCheck] = (check_name, check_content, check_pixels)
"""All checks, in order; the first that finds a fault is the last one for its image."""


def faults_of(image: RecordedImage, data: bytes, checks: Sequence[ImageCheck]) -> list[Fault]:
    """Return the faults that the first failing check finds; an empty list if all pass."""
    for check in checks:
        if found := [*check(image, data)]:
            return found
    return []
