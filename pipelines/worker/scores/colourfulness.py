"""The colourfulness of an image."""

from __future__ import annotations

import numpy as np

from pipelines.worker.scores.scorer import NoOptions, Score, Scorer, Seen


def _load(_options: NoOptions) -> Score:
    def score(seen: Seen) -> float:
        red, green, blue = np.moveaxis(seen.picture.pixels.astype(np.float32), -1, 0)
        opponents = (red - green, (red + green) / 2 - blue)
        spread = np.hypot(*(each.std(dtype=float) for each in opponents))
        shift = np.hypot(*(each.mean(dtype=float) for each in opponents))
        return float(spread + 0.3 * shift)

    return score


SCORER = Scorer(
    name="colourfulness",
    title="Colourfulness",
    meaning="Spread and shift of the red-green and yellow-blue opponents, in levels of 0 to 255: "
    "0 is grey, 15 slightly and 59 quite colourful, 109 extremely so.",
    better="neither",
    low=0.0,
    high=None,
    source="Hasler and Süsstrunk 2003, doi:10.1117/12.477378",
    load=_load,
)
