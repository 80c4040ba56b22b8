"""Metrics between two pictures of one size, as numpy arrays [H, W, 3], uint8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Picture = npt.NDArray[np.uint8]

LEVELS = 8
_LUMA = np.array([0.299, 0.587, 0.114])
_BLUR = 1.5


@dataclass(frozen=True, slots=True)
class Quality:
    """Metrics of one picture, or their means over several.

    Attributes:
        decibels: PSNR to the target.
        palette: distance of its palette from the target's, 0 to 1.73.
        edges: correlation of its edges with the target's, -1 to 1.
    """

    decibels: float
    palette: float
    edges: float


def quality(picture: Picture, target: Picture) -> Quality:
    """Compare a picture with its target."""
    return Quality(
        psnr(picture, target), palette_distance(picture, target), edge_correlation(picture, target)
    )


def mean_quality(measured: list[Quality]) -> Quality:
    """Return the mean of each metric."""
    columns = ((each.decibels, each.palette, each.edges) for each in measured)
    return Quality(*(float(np.mean(column)) for column in zip(*columns, strict=True)))


def psnr(picture: Picture, target: Picture) -> float:
    """Return the peak signal-to-noise ratio in decibels; infinite for equal pictures."""
    error = np.mean((picture.astype(float) - target.astype(float)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def palette_distance(picture: Picture, other: Picture) -> float:
    """Return the mean distance of the palettes' colours, as RGB from 0 to 1."""
    return float(np.linalg.norm(palette(picture) - palette(other), axis=1).mean())


def palette(picture: Picture) -> npt.NDArray[np.float64]:
    """Return the mean colours of eight quantiles of luminance, dark to light, [8, 3], 0 to 1."""
    colours = picture.reshape(-1, 3) / 255
    order = np.argsort(colours @ _LUMA, kind="stable")
    return np.array([part.mean(axis=0) for part in np.array_split(colours[order], LEVELS)])


def edge_correlation(picture: Picture, other: Picture) -> float:
    """Return the correlation of the strengths of the edges; 0 if one picture has none."""
    ours, theirs = _edges(picture).ravel(), _edges(other).ravel()
    if ours.std() < 1e-6 or theirs.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def _edges(picture: Picture) -> npt.NDArray[np.float64]:
    """Return the gradient of the blurred luminance, [H, W]."""
    grey = Image.fromarray((picture @ _LUMA).round().astype(np.uint8))
    blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(_BLUR)), float)
    down, across = np.gradient(blurred)
    strengths: npt.NDArray[np.float64] = np.hypot(down, across)
    return strengths
