"""The scores of images as records hold them: numbers by name, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

ImageScores: TypeAlias = Mapping[str, float | None]
"""The scores of one image, by name; None: the image has none of this name."""


@dataclass(frozen=True, slots=True)
class ScoreMean:
    """The mean of one score.

    Attributes:
        count: images that have the score.
        total: sum of their scores.
    """

    count: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean; None: no image has the score."""
        return self.total / self.count if self.count else None


class ScoreMeans:
    """Means of scores over images, by name."""

    def __init__(self) -> None:
        self._means: dict[str, ScoreMean] = {}

    def add(self, images: Iterable[ImageScores | None]) -> None:
        """Add the scores of images; None for an image without any."""
        for scores in images:
            for name, value in (scores or {}).items():
                known = self._means.get(name, ScoreMean())
                if value is not None:
                    known = ScoreMean(known.count + 1, known.total + value)
                self._means[name] = known

    def remove(self, images: Iterable[ImageScores | None]) -> None:
        """Take out the scores of images that were added before."""
        for scores in images:
            for name, value in (scores or {}).items():
                if value is not None:
                    known = self._means[name]
                    self._means[name] = ScoreMean(known.count - 1, known.total - value)

    @property
    def by_name(self) -> dict[str, float | None]:
        """The mean of each score, in the order in which they were first seen."""
        return {name: found.mean for name, found in self._means.items()}


def row_scores(images: Iterable[ImageScores | None] | None) -> dict[str, float | None]:
    """Return the scores of a row: the mean over its images that have one."""
    means = ScoreMeans()
    means.add(images or ())
    return means.by_name
