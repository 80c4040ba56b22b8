"""The share of an image that shows nothing."""

from __future__ import annotations

import numpy as np

from pipelines.worker.scores.picture import Pixels
from pipelines.worker.scores.scorer import NoOptions, Score, Scorer

_CELLS = 16
_LEVELS = 2.0
"""Standard deviation, in levels of 0 to 255, under which a cell shows nothing."""


def _load(_options: NoOptions) -> Score:
    return lambda seen: _flat_share(seen.picture.pixels)


def _flat_share(pixels: Pixels) -> float:
    flat = [
        bool((cell.reshape(-1, 3).std(axis=0, dtype=np.float32) < _LEVELS).all())
        for row in np.array_split(pixels, min(_CELLS, len(pixels)), axis=0)
        for cell in np.array_split(row, min(_CELLS, row.shape[1]), axis=1)
    ]
    return sum(flat) / len(flat)


SCORER = Scorer(
    name="blank",
    title="Blank area",
    meaning="Share of 16 by 16 cells without detail, in which all three channels vary by less than "
    "2 levels. 1 is a black, white or flat image, as a model that computes NaN gives.",
    better="lower",
    low=0.0,
    high=1.0,
    source="this project",
    load=_load,
)
