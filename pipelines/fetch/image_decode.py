"""Decodes untrusted bytes as images: allowed formats only, and size checked before decoding."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pipelines.failures import RowFailedError
from pipelines.fetch.colour.boxes import clean_aperture
from pipelines.fetch.colour.convert import COLOUR_NOTE, to_srgb
from pipelines.fetch.colour.stated import Stated, by_profile, stated_by
from pipelines.fetch.errors import UnsupportedImageError, fetch_failed
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.file_formats import FORMATS, recognised
from pipelines.fetch.heic import open_heic
from pipelines.fetch.plain_images import detached, upright
from pipelines.fetch.png import read_png
from pipelines.fetch.structure import check_structure
from pipelines.fetch.tiff.decode import CheckPixels, decode_tiff
from pipelines.rows import Reference
from uso_core.model.sizes import Size

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
_UNREAD_BMP = "Unsupported BMP"  # Pillow's words for whole files of other layouts
_MANY_IMAGES = b"MPF\0"  # the segment of a JPEG with several images
_ON_ITS_SIDE = range(5, 9)  # EXIF orientations


def prepare_pillow() -> None:
    """Set Pillow's process-wide options for `decode_image`; once per process is enough.

    `max_megapixels` replaces Pillow's own pixel limit, and truncated files stay errors. Warnings
    about odd files are silenced permanently, because `warnings.catch_warnings` is not thread-safe.
    """
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    fetched: Fetched,
    reference: Reference,
    *,
    max_megapixels: float,
    exif_rotate: bool,
    colour: Literal["convert", "original"] = "convert",
) -> Image.Image:
    """Decode one image, the first one of a file with several.

    Memory: up to 16 bytes per pixel (docs/pictures.md#bounds), and the file twice.

    Args:
        fetched: the file.
        reference: the origin of the file, for messages.
        max_megapixels: larger images are rejected by their header, before memory is allocated.
        exif_rotate: rotate the image by its EXIF orientation. TIFF and HEIC always are.
        colour: `convert` the colours to sRGB from the space that the file states, or leave them.

    Returns:
        A loaded image in its own mode, with its `info`, which holds palette transparency, and the
        remark `colour_note` if its colour profile cannot be used. Converted ones are RGB or RGBA.

    Raises:
        RowFailedError: `image_corrupt`, `image_unsupported` or `image_too_large`.
    """
    with _faults_named(fetched, reference):
        check = _PixelLimit(reference, max_megapixels)
        image, stated, _ = _decoded(fetched, fetched.data, check, exif_rotate=exif_rotate)
        return to_srgb(image, stated) if colour == "convert" else image


class ImageFacts(NamedTuple):
    """Facts about an image.

    Attributes:
        size: the size that `decode_image` would return, in pixels.
        colour_note: a remark if its colour profile cannot be used, else None.
    """

    size: Size
    colour_note: str | None


def inspect_image(
    fetched: Fetched,
    reference: Reference,
    *,
    max_megapixels: float,
    exif_rotate: bool,
    colour: Literal["convert", "original"] = "convert",
) -> ImageFacts:
    """Read all of an image, find the same faults as `decode_image`, and return no pixels.

    A JPEG is decoded at an eighth of its size, which takes a third of the time. Of a plain JPEG
    (`jpeg`) even the coded pixels are only searched for markers, as decoding finds no other fault
    in them.

    Args:
        fetched: see `decode_image`, as all arguments.
        reference: the origin of the file.
        max_megapixels: the size limit.
        exif_rotate: rotate the image by its EXIF orientation.
        colour: convert the colours or not.

    Raises:
        RowFailedError: see `decode_image`.
    """
    with _faults_named(fetched, reference):
        check = _PixelLimit(reference, max_megapixels)
        image, stated, size = _decoded(
            fetched, _inspected(fetched), check, exif_rotate=exif_rotate, full_size=False
        )
        converted = to_srgb(image, stated) if colour == "convert" else image
    return ImageFacts(size, converted.info.get(COLOUR_NOTE))


@contextmanager
def _faults_named(fetched: Fetched, reference: Reference) -> Iterator[None]:
    """Translate the errors of the decoders."""
    if not fetched.data:
        raise fetch_failed("image_corrupt", reference, "the file is empty; replace it")
    try:
        yield
    except UnsupportedImageError as error:
        raise fetch_failed("image_unsupported", reference, str(error)) from error
    except UnidentifiedImageError as error:
        raise _unidentified(fetched, reference) from error
    except _DECODER_ERRORS as error:
        if str(error).startswith(_UNREAD_BMP):
            raise fetch_failed(
                "image_unsupported", reference, f"{error}; save it as PNG"
            ) from error
        raise fetch_failed(
            "image_corrupt", reference, f"the file is damaged or cut short ({error}); replace it"
        ) from error


class _Decoded(NamedTuple):
    image: Image.Image
    stated: Stated
    size: Size


def _inspected(fetched: Fetched) -> bytes:
    """Return a file with the same faults, which is decoded in less time."""
    data = fetched.without_pixels
    return fetched.data if _MANY_IMAGES in data else data  # it holds places in the file


def _decoded(
    fetched: Fetched,
    data: bytes,
    check: CheckPixels,
    *,
    exif_rotate: bool,
    full_size: bool = True,
) -> _Decoded:
    """Return the image of a file, the colour space that the file states, and the upright size.

    Args:
        fetched: the file.
        data: the bytes to decode, see `_inspected`.
        check: refuses an image by its size.
        exif_rotate: rotate by the EXIF orientation.
        full_size: False if a JPEG may be returned smaller than that size.
    """
    found = recognised(data)
    if found == "TIFF":
        image = decode_tiff(data, check)
        return _Decoded(image, by_profile(image.info.get("icc_profile")), Size(*image.size))
    if not fetched.is_plain_jpeg:
        check_structure(data, found)
    png = read_png(data) if found == "PNG" else None
    with _open(png.data if png else data, found) as opened:
        check(*opened.size)
        width, height = opened.size
        if found == "JPEG" and not full_size:
            opened.draft(None, (1, 1))
        opened.load()
        # After loading: EXIF may be at the end of a PNG file.
        orientation = _orientation(opened) if exif_rotate else None
        stated = png.stated() if png else stated_by(opened, data, found)
        image = detached(opened)
    if found == "AVIF":
        part = clean_aperture(data, *image.size)
        image = image.crop(part) if part else image
        width, height = image.size
    if png and png.profile:
        image.info["icc_profile"] = png.profile
    size = Size(height, width) if orientation in _ON_ITS_SIDE else Size(width, height)
    return _Decoded(upright(image, orientation), stated, size)


def _open(data: bytes, found: str | None) -> ImageFile.ImageFile:
    return open_heic(data) if found == "HEIC" else Image.open(io.BytesIO(data), formats=FORMATS)


@dataclass(frozen=True, slots=True)
class _PixelLimit:
    """Rejects images that are larger than `fetch.max_megapixels`."""

    reference: Reference
    max_megapixels: float

    def __call__(self, width: int, height: int, bytes_per_pixel: int = 8) -> None:
        """Check a size; pixels of more than 8 bytes count more."""
        if width * height * max(8, bytes_per_pixel) > self.max_megapixels * 8e6:
            deep = f" with {bytes_per_pixel} bytes per pixel" if bytes_per_pixel > 8 else ""
            counted = " of 8 bytes" if deep else ""
            raise fetch_failed(
                "image_too_large",
                self.reference,
                f"the image is {width}x{height}{deep}, more than {self.max_megapixels:g} "
                f"megapixels{counted} (fetch.max_megapixels); make it smaller, or raise that limit",
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
