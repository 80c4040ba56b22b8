"""The likeness of an image to a copy of its content or its style."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.worker.scores.measures import hash_similarity, perceptual_hash
from pipelines.worker.scores.picture import Picture
from pipelines.worker.scores.scorer import Need, NoOptions, Score, Scorer, Seen


def _of(references: Callable[[Seen], tuple[Picture, ...]]) -> Callable[[NoOptions], Score]:
    def score(seen: Seen) -> float:
        ours = perceptual_hash(seen.picture.image)
        return max(hash_similarity(ours, perceptual_hash(each.image)) for each in references(seen))

    return lambda _options: score


def _scorer(need: Need, references: Callable[[Seen], tuple[Picture, ...]], more: str) -> Scorer:
    return Scorer(
        name=f"near_copy_{need}",
        title=f"Copy of the {need}",
        meaning=f"Share of equal bits in the 64-bit perceptual hashes of the image and its {need}: "
        f"1 is a copy, resized or compressed perhaps; unlike pictures have about 0.5.{more}",
        better="lower",
        low=0.0,
        high=1.0,
        needs=(need,),
        source="Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions",
        load=_of(references),
    )


def _content(seen: Seen) -> tuple[Picture, ...]:
    return () if seen.content is None else (seen.content,)


CONTENT = _scorer("content", _content, "")
STYLE = _scorer("style", lambda seen: seen.styles, " With several styles, the highest.")
