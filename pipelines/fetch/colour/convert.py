"""Converts decoded images to sRGB, through littlecms."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from pipelines.fetch.colour.profiles import HDR_CURVES, SRGB, profile_of
from pipelines.fetch.colour.stated import Stated
from pipelines.fetch.errors import UnsupportedImageError

COLOUR_NOTE = "colour_note"
"""The key in an image's `info` of a remark about its colours."""
_BROKEN = "its colour profile is damaged, or is not for its pixels; it is taken as sRGB"
_BROKEN_CMYK = "its colour profile is damaged, or is not for CMYK; it is left out"
_SAME = 2  # levels: profiles of sRGB differ by that much
_STEPS = 9


class _Spaces(NamedTuple):
    """Modes that littlecms converts between."""

    source: str
    probe: Image.Image


def to_srgb(image: Image.Image, stated: Stated) -> Image.Image:
    """Return the image in sRGB: itself if it is, or an image of mode RGB or RGBA.

    CMYK stays as it is, with its profile, for `uso_core`. A profile that cannot be used leaves a
    remark in `info`.

    Raises:
        UnsupportedImageError: the image is HDR.
    """
    if stated.curve in HDR_CURVES:
        raise UnsupportedImageError(
            f"HDR pixels ({HDR_CURVES[stated.curve]}) are not supported; store the image in sRGB, "
            "or set fetch.colour to original to take them as they are"
        )
    if image.mode == "CMYK" and stated.profile and not _is_for_cmyk(stated.profile):
        return _remarked(image, _BROKEN_CMYK)
    if image.mode in ("CMYK", "LAB", "1"):
        return image
    profile = stated.profile
    if stated.broken:
        return _remarked(image)
    if profile is None:
        if stated.space is None or stated.space == SRGB:
            return image
        try:
            profile = profile_of(stated.space)
        except ValueError:
            return _remarked(image)
    return _converted(image, profile)


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        grey = _is_grey(image)
        if space not in ("RGB", "GRAY") or (space == "GRAY" and not grey):
            return _remarked(image)
        spaces = _GREY if space == "GRAY" else _COLOUR
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), spaces.source, "RGB"
        )
        if _is_srgb(transform, spaces):
            return image
        alpha, colours = _alpha(image), _colours(image, spaces.source)
        colours = _applied(colours, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return _remarked(image)
    colours.info.clear()
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _applied(colours: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Return the colours in sRGB; RGB is converted in place, which saves memory."""
    in_place = colours.mode == "RGB"
    converted = ImageCms.applyTransform(colours, transform, inPlace=in_place)
    return colours if converted is None else converted


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("L", "LA", "La") or image.mode.startswith("I;16")


def _colours(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        levels = (np.asarray(image).astype(np.int32) + 128) // 257
        image = Image.fromarray(levels.astype(np.uint8))
    if image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA")  # directly, a palette with transparency gives a warning
    if image.mode == "La":
        image = image.convert("LA")
    return image if image.mode == mode else image.convert(mode)


def _alpha(image: Image.Image) -> Image.Image | None:
    if not image.has_transparency_data or image.mode.startswith("I"):
        return None
    return image.convert("RGBA").getchannel("A")


def _is_srgb(transform: ImageCms.ImageCmsTransform, spaces: _Spaces) -> bool:
    """Return True if the transform changes next to nothing, as for the many profiles of sRGB."""
    converted = np.asarray(_applied(spaces.probe.copy(), transform)).astype(int)
    before = np.asarray(spaces.probe.convert("RGB"))
    return int(np.abs(converted - before).max()) <= _SAME


def _is_for_cmyk(profile: bytes) -> bool:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError):
        return False
    return opened.profile.xcolor_space.strip() == "CMYK"


def _remarked(image: Image.Image, remark: str = _BROKEN) -> Image.Image:
    image.info[COLOUR_NOTE] = remark
    return image


def _cube() -> Image.Image:
    """Return an image of colours from all of the RGB cube."""
    levels = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return Image.fromarray(grid.reshape(_STEPS, -1, 3))


_COLOUR = _Spaces("RGB", _cube())
_GREY = _Spaces("L", Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, -1)))
