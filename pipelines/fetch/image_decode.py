"""Decodes untrusted bytes as images: allowed formats only, and size checked before decoding."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, features

from pipelines.failures import RowFailedError
from pipelines.fetch.errors import fetch_failed
from pipelines.fetch.fetched import Fetched
from pipelines.rows import Reference

# Pillow's other decoders are never used: some run programs (EPS), others are hardly maintained.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (
    ("AVIF",) if features.check("avif") else ()
)

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML (SVG?)"),
    (0, b"<!doctype html", "HTML"),
    (0, b"<html", "HTML"),
)

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

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
        exif_rotate: rotate the image by its EXIF orientation. Pillow always does so for TIFF.

    Returns:
        A loaded image in its own mode, with its `info`, which holds palette transparency.

    Raises:
        RowFailedError: `image_corrupt`, `image_unsupported` or `image_too_large`.
    """
    if not fetched.data:
        raise fetch_failed("image_corrupt", reference, "the file is empty; replace it")
    try:
        with Image.open(io.BytesIO(fetched.data), formats=FORMATS) as opened:
            _check_pixels(opened, reference, max_megapixels)
            opened.load()
            # After loading: Pillow rotates TIFF itself, and EXIF may be at the end of a PNG file.
            orientation = _orientation(opened) if exif_rotate else None
            image = opened.copy()  # a plain Image, which does not keep the file
    except UnidentifiedImageError as error:
        raise _unidentified(fetched, reference) from error
    except _DECODER_ERRORS as error:
        raise fetch_failed(
            "image_corrupt", reference, f"the file is damaged or cut short ({error}); replace it"
        ) from error
    return image if orientation not in _UPRIGHT else image.transpose(_UPRIGHT[orientation])


def _check_pixels(image: Image.Image, reference: Reference, max_megapixels: float) -> None:
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise fetch_failed(
            "image_too_large",
            reference,
            f"the image is {width}x{height}, more than {max_megapixels:g} megapixels "
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
    found = _recognised(fetched.data)
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


def _recognised(data: bytes) -> str | None:
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    for offset, magic, name in _MAGIC:
        text = magic.startswith(b"<")
        at = start[offset : offset + len(magic)] if text else data[offset : offset + len(magic)]
        if (at.lower() if text else at) == magic:
            return name
    return None
