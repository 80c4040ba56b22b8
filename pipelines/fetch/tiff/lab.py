"""Converts Lab pixels whose white is not D50; littlecms converts those of D50."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.fetch.colour.profiles import SRGB, Xy, adaptation_to_d50, matrix_to_d50, xyz_of
from pipelines.fetch.tiff import tags
from pipelines.fetch.tiff.layout import LAB, Layout
from uso_core.model.levels import Levels, float_levels

_D50 = (0.3457, 0.3585)
_SAME = 0.002  # writers round D50 in several ways
_RATIONAL = 5
_CUBIC_FROM = 6 / 29


def other_white(layout: Layout) -> Xy | None:
    """Return the chromaticity of white of Lab pixels, by the tag WhitePoint; None for D50."""
    if layout.photometric != LAB:
        return None
    kind, count, stored = layout.tags.stored(tags.WHITE_POINT)
    if kind != _RATIONAL or count != 2:
        return None
    across, over_x, up, over_y = np.frombuffer(stored, f"{layout.order}u4").tolist()
    if not (across and over_x and up and over_y):
        return None
    white = (across / over_x, up / over_y)
    if white[0] + white[1] >= 1 or max(abs(white[0] - _D50[0]), abs(white[1] - _D50[1])) < _SAME:
        return None
    return white


def lab_to_srgb(samples: npt.NDArray[Any], bits: int, white: Xy) -> Levels:
    """Return sRGB levels of Lab samples.

    Args:
        samples: `[..., 3 or more]`, as stored: L over the whole range, a and b as two's complement.
        bits: 8 or 16.
        white: the chromaticity of white.
    """
    scale = 1 << (bits - 8)
    light = samples[..., :1].astype(np.float32) * (100 / ((1 << bits) - 1))
    across = samples[..., 1:3].astype(f"u{bits // 8}").view(f"i{bits // 8}") / np.float32(scale)
    middle = (light + 16) / 116
    steps = [middle + across[..., :1] / 500, middle, middle - across[..., 1:] / 200]
    of_white = np.concatenate(steps, axis=-1)
    below = (of_white - np.float32(4 / 29)) * np.float32(3 * _CUBIC_FROM**2)
    of_white = np.where(of_white > _CUBIC_FROM, of_white**3, below)
    xyz = xyz_of(white)
    to_srgb = np.linalg.inv(matrix_to_d50(SRGB)) @ adaptation_to_d50(xyz) @ np.diag(xyz)
    linear = (of_white @ to_srgb.T.astype(np.float32)).clip(0, 1)
    curved = np.float32(1.055) * linear ** np.float32(1 / 2.4) - np.float32(0.055)
    return float_levels(np.where(linear > 0.0031308, curved, linear * np.float32(12.92)), 1)
