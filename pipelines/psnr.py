"""Distance between two pictures of the same size: their peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

Distance = float | Literal["identical", "different sizes", "not read"]
"""PSNR in dB, or the reason why there is no number. The page shows these words."""

_ROWS = 64  # at a time, to keep intermediate arrays small


def psnr(here: Pixels, there: Pixels) -> float:
    """Return the peak signal-to-noise ratio of two pictures, in dB, over all pixels and channels.

    Args:
        here: `[height, width, channels]`, 0 to 255.
        there: `[height, width, channels]`, 0 to 255.

    Returns:
        `10 log10(255² / mean squared difference)`; infinite if all values are equal.

    Raises:
        ValueError: their shapes differ, or there are no pixels.
    """
    if here.shape != there.shape or not here.size:
        raise ValueError(f"no PSNR of pictures of shapes {here.shape} and {there.shape}")
    squares = 0
    for top in range(0, len(here), _ROWS):
        off = here[top : top + _ROWS].astype(np.int32) - there[top : top + _ROWS]
        squares += int(np.square(off).sum(dtype=np.int64))
    return 10 * math.log10(255**2 * here.size / squares) if squares else math.inf


def distance(here: Pixels, there: Pixels) -> Distance:
    """Return the distance of two pictures of any sizes; for the arguments see `psnr`."""
    if here.shape != there.shape:
        return "different sizes"
    decibels = psnr(here, there)
    return "identical" if math.isinf(decibels) else decibels
