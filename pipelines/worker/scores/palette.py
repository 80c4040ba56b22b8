"""The distance of an image's palette from the style's."""

from __future__ import annotations

import numpy as np

from pipelines.worker.scores.measures import palette_distance
from pipelines.worker.scores.picture import Picture, Pixels
from pipelines.worker.scores.scorer import NoOptions, Score, Scorer, Seen

_SAMPLED = 256  # pixels of a side, about, that are looked at


def _load(_options: NoOptions) -> Score:
    def score(seen: Seen) -> float:
        ours = _sampled(seen.picture)
        distances = [palette_distance(ours, _sampled(style)) for style in seen.styles]
        return float(np.mean(distances))

    return score


def _sampled(picture: Picture) -> Pixels:
    """Return single pixels of a grid: averages would mix the colours of a hatching."""
    pixels = picture.pixels
    down, across = (max(1, -(-side // _SAMPLED)) for side in pixels.shape[:2])
    return pixels[::down, ::across]


SCORER = Scorer(
    name="palette",
    title="Palette distance",
    meaning="Mean distance between the colours of eight quantiles of luminance in the image and in "
    "the style, as RGB from 0 to 1. With several styles, the mean over them.",
    better="lower",
    low=0.0,
    high=3**0.5,
    needs=("style",),
    source="this project; docs/demo-model.md uses it",
    load=_load,
)
