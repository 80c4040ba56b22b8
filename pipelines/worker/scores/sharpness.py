"""The sharpness of an image."""

from __future__ import annotations

from pipelines.worker.scores.scorer import NoOptions, Score, Scorer, Seen


def _load(_options: NoOptions) -> Score:
    def score(seen: Seen) -> float | None:
        plane = seen.picture.luminance
        if min(plane.shape) < 3:
            return None
        middle = plane[1:-1, 1:-1]
        laplacian = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
        laplacian -= 4 * middle
        return float(laplacian.var(dtype=float))

    return score


SCORER = Scorer(
    name="sharpness",
    title="Sharpness",
    meaning="Variance of the Laplacian of the luminance, in squared levels of 0 to 255. Noise and "
    "hatching count as sharp; compare images of one size and style.",
    better="higher",
    low=0.0,
    high=None,
    source="Pech-Pacheco et al. 2000, doi:10.1109/ICPR.2000.903548",
    load=_load,
)
