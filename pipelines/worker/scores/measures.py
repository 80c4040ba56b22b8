"""Measures between pictures, as plain functions of pixels; `benchmarks.quality` uses them, too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from pipelines.worker.scores.picture import Pixels

LEVELS = 8
_LUMA = np.array([0.299, 0.587, 0.114])
_BLUR = 1.5
_HASH = 8  # values of a hash on each side
_HASHED = 32  # pixels on each side of the picture that is hashed


def palette_distance(pixels: Pixels, other: Pixels) -> float:
    """Return the mean distance of the palettes' colours, as RGB from 0 to 1."""
    return float(np.linalg.norm(palette(pixels) - palette(other), axis=1).mean())


def palette(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the mean colours of eight quantiles of luminance, dark to light, [8, 3], 0 to 1."""
    colours = pixels.reshape(-1, 3) / 255
    if len(colours) < LEVELS:  # else a quantile would have no pixel
        colours = colours.repeat(LEVELS, axis=0)
    order = np.argsort(colours @ _LUMA, kind="stable")
    return np.array([part.mean(axis=0) for part in np.array_split(colours[order], LEVELS)])


def edge_correlation(pixels: Pixels, other: Pixels) -> float:
    """Return the correlation of the strengths of the edges; 0 if one picture has none."""
    ours, theirs = _edges(pixels).ravel(), _edges(other).ravel()
    if ours.std() < 1e-6 or theirs.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def perceptual_hash(image: Image.Image) -> npt.NDArray[np.bool_]:
    """Return 64 bits that survive resizing, compression and small changes of colour, `[64]`.

    The bits tell which of the lowest frequencies of the luminance, without the mean, are over their
    median: the `pHash` of Zauner 2010.
    """
    grey = image.convert("L").resize((_HASHED, _HASHED), Image.Resampling.LANCZOS)
    low = (_COSINES @ np.asarray(grey, np.float64) @ _COSINES.T).round(6)
    return np.asarray(low > np.median(low.ravel()[1:])).ravel()


def hash_similarity(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """Return the share of equal bits, 0 to 1."""
    return float((one == other).mean())


def _cosines() -> npt.NDArray[np.float64]:
    """Return the first rows of the discrete cosine transform (type II), `[_HASH, _HASHED]`."""
    rows, columns = np.arange(_HASH)[:, None], np.arange(_HASHED)[None]
    return np.asarray(np.cos(np.pi * rows * (2 * columns + 1) / (2 * _HASHED)))


_COSINES = _cosines()


def _edges(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the gradient of the blurred luminance, [H, W]."""
    grey = Image.fromarray((pixels @ _LUMA).round().astype(np.uint8))
    blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(_BLUR)), float)
    down, across = np.gradient(blurred)
    strengths: npt.NDArray[np.float64] = np.hypot(down, across)
    return strengths
