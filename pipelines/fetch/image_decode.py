"""Decodes untrusted bytes as images: allowed formats only, and size checked before decoding."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pipelines.failures import RowFailedError
from pipelines.fetch.errors import fetch_failed
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.file_formats import FORMATS, recognised
from pipelines.fetch.plain_images import detached, upright
from pipelines.fetch.tiff.decode import decode_tiff
from pipelines.fetch.tiff.layout import UnsupportedTiffError
from pipelines.rows import Reference

# Errors that Pillow's decoders raise for damaged files; some were found by fuzzing.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def prepare_pillow() -> None:
    """Set Pillow's process-wide options for `decode_image`; once per process is enough.

    `max_megapixels` replaces Pillow's own pixel limit, and truncated files stay errors. Warnings
    about odd files are silenced permanently, because `warnings.catch_warnings` is not thread-safe.
    """
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    fetched: Fetched, reference: Reference, *, max_megapixels: float, exif_rotate: bool
) -> Image.Image:
    """Decode one image, the first one of a file with several.

    Args:
        fetched: the file.
        reference: the origin of the file, for messages.
        max_megapixels: larger images are rejected by their header, before memory is allocated.
        exif_rotate: rotate the image by its EXIF orientation. TIFF is always rotated.

    Returns:
        A loaded image in its own mode, with its `info`, which holds palette transparency.

    Raises:
        RowFailedError: `image_corrupt`, `image_unsupported` or `image_too_large`.
    """
    if not fetched.data:
        raise fetch_failed("image_corrupt", reference, "the file is empty; replace it")
    check = _PixelLimit(reference, max_megapixels)
    try:
        if recognised(fetched.data) == "TIFF":
            return decode_tiff(fetched.data, check)
        return _by_pillow(fetched.data, check, exif_rotate=exif_rotate)
    except UnsupportedTiffError as error:
        raise fetch_failed(
            "image_unsupported",
            reference,
            f"TIFF with {error} is not supported; store it as RGB with 8 or 16 bits",
        ) from error
    except UnidentifiedImageError as error:
        raise _unidentified(fetched, reference) from error
    except _DECODER_ERRORS as error:
        raise fetch_failed(
            "image_corrupt", reference, f"the file is damaged or cut short ({error}); replace it"
        ) from error


def _by_pillow(data: bytes, check: _PixelLimit, *, exif_rotate: bool) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        check(*opened.size)
        opened.load()
        # After loading: EXIF may be at the end of a PNG file.
        orientation = _orientation(opened) if exif_rotate else None
        image = detached(opened)
    return upright(image, orientation)


@dataclass(frozen=True, slots=True)
class _PixelLimit:
    """Rejects images that are larger than `fetch.max_megapixels`."""

    reference: Reference
    max_megapixels: float

    def __call__(self, width: int, height: int) -> None:
        if width * height > self.max_megapixels * 1e6:
            raise fetch_failed(
                "image_too_large",
                self.reference,
                f"the image is {width}x{height}, more than {self.max_megapixels:g} megapixels "
                "(fetch.max_megapixels)",
            )


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation, or None if there is none that can be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:
        return None
    return value if isinstance(value, int) else None


def _unidentified(fetched: Fetched, reference: Reference) -> RowFailedError:
    found = recognised(fetched.data)
    if found in FORMATS:
        return fetch_failed(
            "image_corrupt",
            reference,
            f"it starts as {found} does, but its header is damaged; replace it",
        )
    looks = f"it looks like {found}" if found else "it is not a known image format"
    served = f", served as {fetched.content_type!r}" if fetched.content_type else ""
    return fetch_failed(
        "image_unsupported", reference, f"{looks}{served}; give one of {', '.join(FORMATS)}"
    )
