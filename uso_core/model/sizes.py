"""Sizes of the encoded content image and of the output. Pure arithmetic, in pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

from uso_core.errors import InvalidRequestError
from uso_core.request import Limits, Parameters

GRID = 16
"""One token covers 16x16 pixels: the VAE's factor 8 times the packing's factor 2."""


class Size(NamedTuple):
    """Width and height, in PIL's order."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def scaled_size(size: Size, long_size: int) -> Size:
    """Scale `size` to a longer side of `long_size`; the shorter side is truncated, not rounded.

    A 16x16 image keeps its size for any `long_size`, as in the original.
    """
    if size == (GRID, GRID):
        return size
    if size.width > size.height:
        return Size(long_size, int((long_size / size.width) * size.height))
    return Size(int((long_size / size.height) * size.width), long_size)


def floor_to(size: Size, grid: int = GRID) -> Size:
    """Return the largest size on the grid that fits into `size`."""
    return Size(size.width // grid * grid, size.height // grid * grid)


def content_size(size: Size, long_size: int) -> Size:
    """Return the size at which a content image of `size` is encoded.

    Raises:
        InvalidRequestError: its shorter side would fall below one token.
    """
    fitted = floor_to(scaled_size(size, long_size))
    if min(fitted) < GRID:
        raise InvalidRequestError(
            "content_image",
            str(size),
            f"an image whose shorter side is at least {GRID} px when its longer side is "
            f"{long_size} px (content_long_size)",
        )
    return fitted


def output_size(parameters: Parameters, content: Size | None, limits: Limits) -> Size:
    """Return the size of the generated image.

    With `keep_size`, it is the size of the encoded content image. Otherwise `parameters` set it,
    and a side that they leave out follows from the content image's aspect ratio.

    Args:
        parameters: the request's parameters, already checked.
        content: size of the content image before scaling; None if there is none or it is not used.
        limits: limits of the checkpoint.

    Raises:
        InvalidRequestError: `keep_size` would give a side below one token.
    """
    if content is None:
        return Size(
            parameters.width or limits.default_size, parameters.height or limits.default_size
        )
    if parameters.keep_size:
        return _kept_size(parameters, content, limits)
    return _inferred_size(parameters, content, limits)


def _kept_size(parameters: Parameters, content: Size, limits: Limits) -> Size:
    long_size = parameters.content_long_size
    # In integers: the original's floats turn 784 * (1024 / 784) into 1023, which gives 1008 px.
    scaled = (side * limits.default_size // long_size for side in content_size(content, long_size))
    kept = floor_to(Size(*scaled))
    if min(kept) < GRID:
        raise InvalidRequestError(
            "keep_size", True, f"false for this content image: it would draw {kept} px"
        )
    return kept


def _inferred_size(parameters: Parameters, content: Size, limits: Limits) -> Size:
    aspect = content.width / content.height
    width, height = parameters.width, parameters.height
    if width is None:
        ideal = limits.default_size * math.sqrt(aspect) if height is None else height * aspect
        width = _to_limits(ideal, limits)
    if height is None:
        ideal = limits.default_size / math.sqrt(aspect) if not parameters.width else width / aspect
        height = _to_limits(ideal, limits)
    return Size(width, height)


def _to_limits(side: float, limits: Limits) -> int:
    on_grid = round(side / limits.size_step) * limits.size_step
    return min(max(on_grid, limits.min_size), limits.max_size)
