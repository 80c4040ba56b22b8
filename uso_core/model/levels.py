"""The range of float pixels, which no file states: 0 to 1, 0 to 255, or not clear. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint8]

_FEW = 0.05  # as overshoot of a resampling, or lights
_HALF = 0.5
_BYTE_RANGE_MIN = 127  # 0 to 100, and less, may be any scale
_BYTE_RANGE_MAX = 2 * 255  # a resampling overshoots less; stars over a sky exceed it


class UnclearRangeError(ValueError):
    """Float pixels are neither within 0 to 1 nor within 0 to 255; names the range."""


@dataclass(slots=True)
class FloatRange:
    """Finds the range of float pixels from their values, which may come in blocks."""

    _count: int = 0
    _not_zero: int = 0
    _below_0: int = 0
    _over_1: int = 0
    _over_255: int = 0
    _lowest: float = math.inf
    _highest: float = -math.inf

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count the finite values."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return
        self._count += finite.size
        self._not_zero += int(np.count_nonzero(finite))
        self._below_0 += int(np.count_nonzero(finite < 0))
        self._over_1 += int(np.count_nonzero(finite > 1))
        self._over_255 += int(np.count_nonzero(finite > 255))
        self._lowest = min(self._lowest, float(finite.min()))
        self._highest = max(self._highest, float(finite.max()))

    def white(self) -> float:
        """Return the value of white, 1 or 255; at most 5% of the values are outside its range.

        For values over it, zeros do not count: thin lines on a black ground are few pixels, but all
        of the picture.

        Raises:
            UnclearRangeError: neither is the value of white.
        """
        few = _FEW * self._not_zero
        positive = self._below_0 <= _FEW * self._count
        if positive and self._over_1 <= few:
            return 1
        in_bytes = positive and self._over_255 <= few
        spread = _BYTE_RANGE_MIN < self._highest <= _BYTE_RANGE_MAX
        if in_bytes and spread and self._over_1 >= _HALF * self._not_zero:
            return 255
        raise UnclearRangeError(
            f"float pixels from {self._lowest:.4g} to {self._highest:.4g}, whose black and white "
            "are not clear (from 0 to 1, or to 255)"
        )


def float_levels(values: npt.NDArray[Any], white: float) -> Levels:
    """Return float pixels as levels from 0 to 255; NaN is black, other values are clamped."""
    clamped = np.nan_to_num(values, nan=0.0).clip(0, white)
    wide = clamped.astype(np.promote_types(values.dtype, np.float32), copy=False)
    levels: Levels = (wide * (255 / white)).round().astype(np.uint8)
    return levels
