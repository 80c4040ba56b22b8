"""Pictures as scorers see them: pixels that several scorers share, and references made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from PIL import Image

MOST_PIXELS = 1024
"""Longest side of a reference in pixels; larger ones are reduced to it, to bound memory."""

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Picture:
    """An RGB image and what several scorers derive from it; safe to use from several threads.

    Attributes:
        image: the image; must not be changed.
    """

    def __init__(self, image: Image.Image) -> None:
        """Take an RGB image."""
        self.image = image

    @cached_property
    def pixels(self) -> Pixels:
        """The pixels, `[H, W, 3]`, 0 to 255; read-only."""
        pixels = np.asarray(self.image)
        pixels.flags.writeable = False
        return pixels

    @cached_property
    def luminance(self) -> Plane:
        """The luminance of Rec. 601, `[H, W]`, 0 to 255."""
        return luminance(self.pixels)

    @cached_property
    def key(self) -> bytes:
        """A hash of size and pixels: equal pictures have equal keys."""
        size = repr(self.image.size).encode()
        return blake2b(size + self.image.tobytes(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Sources:
    """The references of a row, for scorers; at most `MOST_PIXELS` on their long side.

    Attributes:
        content: the content image; None if the row has none.
        styles: the style images.
    """

    content: Picture | None = None
    styles: tuple[Picture, ...] = ()

    @classmethod
    def of(cls, content: Image.Image | None, styles: Sequence[Image.Image]) -> Sources:
        """Keep references of a request."""
        kept = None if content is None else Picture(_reduced(content))
        return cls(kept, tuple(Picture(_reduced(style)) for style in styles))


def luminance(pixels: Pixels) -> Plane:
    """Return the luminance of Rec. 601 of `[…, 3]` pixels, 0 to 255."""
    plane: Plane = pixels.astype(np.float32) @ _LUMA
    return plane


def covering(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the middle of an image with the shape of `size`, resized to it without distortion."""
    width, height = image.size
    scale = min(width / size[0], height / size[1])
    across, down = size[0] * scale, size[1] * scale
    left, top = (width - across) / 2, (height - down) / 2
    box = (left, top, left + across, top + down)
    return image.resize(size, Image.Resampling.LANCZOS, box)


def at_most(image: Image.Image, side: int) -> Image.Image:
    """Return the image, reduced so that its long side has at most `side` pixels."""
    longest = max(image.size)
    if longest <= side:
        return image
    width, height = (max(1, round(each * side / longest)) for each in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _reduced(image: Image.Image) -> Image.Image:
    from uso_core.model.images import to_rgb  # noqa: PLC0415 (it imports torch; a driver does not)

    return at_most(to_rgb(image), MOST_PIXELS)
