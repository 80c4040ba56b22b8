"""The distance of an image that was drawn again from the recorded one, and what a preset allows."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.psnr import psnr
from uso_core.presets import PRESETS


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest distance with which two images count as equal.

    Attributes:
        psnr: least peak signal-to-noise ratio, in dB.
        largest: largest difference of a value of a pixel, 0 to 255.
    """

    psnr: float
    largest: int

    def allows(self, distance: Distance) -> bool:
        """Return True if a distance is within it."""
        return distance.psnr >= self.psnr and distance.largest <= self.largest


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance of two images of the same size, over all pixels and channels.

    Attributes:
        psnr: peak signal-to-noise ratio in dB; infinite if all values are equal.
        largest: largest difference of a value, 0 to 255.
    """

    psnr: float
    largest: int

    @property
    def is_zero(self) -> bool:
        """True if all pixels are equal."""
        return math.isinf(self.psnr)

    def __str__(self) -> str:
        if self.is_zero:
            return "equal pixels in another file"
        return f"PSNR {self.psnr:.1f} dB, largest difference {self.largest}"


def tolerance_of(preset: str) -> Tolerance:
    """Return the tolerance of a preset.

    With the weights as they are, other hardware or libraries change the order of sums. A preset in
    float8 rounds such a difference up to a step of its type; a step cache may skip another step.
    The numbers are chosen from distances that the demo model shows between precisions on one CPU
    (docs/presets.md); distances between GPUs are not measured.
    """
    known = PRESETS.get(preset)  # type: ignore[call-overload]
    if known is None or known.cache_threshold is not None:
        return Tolerance(psnr=30, largest=128)
    if known.changes_pictures:
        return Tolerance(psnr=35, largest=96)
    return Tolerance(psnr=40, largest=48)


def distance_of(here: bytes, there: bytes) -> Distance | None:
    """Return the distance of two image files; None if their sizes differ.

    Raises:
        OSError: a file cannot be decoded.
    """
    one, other = _pixels(here), _pixels(there)
    if one.shape != other.shape:
        return None
    largest = int(np.abs(one.astype(np.int16) - other).max())
    return Distance(psnr(one, other), largest)


def _pixels(data: bytes) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))
