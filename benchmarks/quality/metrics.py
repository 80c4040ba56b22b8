"""Metrics between two pictures of one size, as numpy arrays [H, W, 3], uint8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.worker.scores.measures import edge_correlation, palette_distance

Picture = npt.NDArray[np.uint8]


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
