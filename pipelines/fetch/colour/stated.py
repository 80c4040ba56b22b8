"""The colour space that a file states."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import ExifTags, Image

from pipelines.fetch.colour.boxes import code_points
from pipelines.fetch.colour.profiles import ADOBE_RGB, SRGB, RgbSpace, space_of_code_points

_INTEROP_ADOBE_RGB = "R03"


@dataclass(frozen=True, slots=True)
class Stated:
    """The colour space that a file states; sRGB if it states none.

    Attributes:
        profile: an ICC profile.
        space: a space by numbers, if there is no profile.
        curve: the code point (H.273) of its curve, which shows HDR; None if the file has none.
        broken: True if it has a profile that cannot be read.
    """

    profile: bytes | None = None
    space: RgbSpace | None = None
    curve: int | None = None
    broken: bool = False


def by_code_points(primaries: int, curve: int) -> Stated:
    """Return the space of code points (H.273); sRGB where they are not known."""
    return Stated(space=space_of_code_points(primaries, curve) or SRGB, curve=curve)


def stated_by(image: Image.Image, data: bytes, found: str | None) -> Stated:
    """Return what a file that is not PNG states.

    Args:
        image: the opened image; loaded, so that its EXIF is there.
        data: the file.
        found: its format.
    """
    curve = None
    if found in ("AVIF", "HEIC"):
        points = code_points(data)
        if points is not None and not image.info.get("icc_profile"):
            return by_code_points(*points)
        curve = None if points is None else points[1]
    profile = image.info.get("icc_profile")
    if profile:
        return Stated(profile, curve=_curve_in(profile) or curve)
    if found == "JPEG" and _is_adobe_rgb(image):
        return Stated(space=ADOBE_RGB)
    return Stated()


def by_profile(profile: bytes | None) -> Stated:
    """Return the space of an ICC profile; sRGB without one."""
    return Stated(profile, curve=_curve_in(profile)) if profile else Stated()


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Return True for a camera's Adobe RGB (DCF option file), which often has no profile."""
    try:
        index = image.getexif().get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return False
    return isinstance(index, str) and index.rstrip("\0 ") == _INTEROP_ADOBE_RGB


def _curve_in(profile: bytes) -> int | None:
    """Return the curve in a profile's tag `cicp`."""
    tags = profile[132 : 132 + 12 * min(100, int.from_bytes(profile[128:132], "big"))]
    for at in range(0, len(tags) - 11, 12):
        if tags[at : at + 4] == b"cicp":
            (offset,) = struct.unpack(">I", tags[at + 4 : at + 8])
            content = profile[offset : offset + 12]
            return content[9] if len(content) == 12 else None
    return None
