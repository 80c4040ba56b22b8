"""The structure of the content that an image keeps."""

from __future__ import annotations

import numpy as np

from pipelines.worker.scores.measures import edge_correlation
from pipelines.worker.scores.picture import at_most, covering
from pipelines.worker.scores.scorer import NoOptions, Score, Scorer, Seen

_SIDE = 256  # pixels of the long side at which edges are compared


def _load(_options: NoOptions) -> Score:
    def score(seen: Seen) -> float | None:
        assert seen.content is not None
        small = at_most(seen.picture.image, _SIDE)
        content = covering(seen.content.image, small.size)
        return edge_correlation(np.asarray(small), np.asarray(content))

    return score


SCORER = Scorer(
    name="structure",
    title="Structure kept",
    meaning="Correlation of the strengths of the edges in the image and in the content image, both "
    "at most 256 pixels long, the content cropped to the shape of the image. 0 if one has no edge.",
    better="higher",
    low=-1.0,
    high=1.0,
    needs=("content",),
    source="this project; docs/demo-model.md uses it",
    load=_load,
)
