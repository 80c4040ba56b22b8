"""The image plug-in that measures the scores of a run."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.display import did_you_mean
from pipelines.errors import ConfigError
from pipelines.record import SCORES
from pipelines.worker.image_plugins import Finding, FinishedImage, ImagePlugin, Look
from pipelines.worker.scores.picture import Picture, Sources
from pipelines.worker.scores.registry import ChosenScorer, chosen_scorers
from pipelines.worker.scores.scorer import Need, Score, Scorer, Seen

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig

logger = logging.getLogger(__name__)

_DIGITS = 6  # further ones differ between processors


class Scores:
    """The loaded scorers of a worker; thread-safe."""

    def __init__(self, chosen: tuple[ChosenScorer, ...]) -> None:
        """Load the scorers; raises whatever they raise."""
        self._scorers = [_Loaded(each.find(), each) for each in chosen]

    def expected(self, given: frozenset[Need]) -> frozenset[str]:
        """Return the scores that an image has whose row has these inputs."""
        return frozenset(each.name for each in self._scorers if given.issuperset(each.needs))

    def of(self, seen: Seen, row_id: str) -> dict[str, float | None]:
        """Return each score of an image by name; null if it has none.

        Args:
            seen: the image.
            row_id: id of its row, for the log.
        """
        return {each.name: each.score(seen, row_id) for each in self._scorers}


class _Loaded:
    def __init__(self, scorer: Scorer, chosen: ChosenScorer) -> None:
        self.name = scorer.name
        self.needs = scorer.needs
        self._score: Score = scorer.load(chosen.checked_options())
        self._lock = threading.Lock() if scorer.one_at_a_time else None

    def score(self, seen: Seen, row_id: str) -> float | None:
        if not all(map(seen.has, self.needs)):
            return None
        try:
            found = self._found(seen)
        except Exception as error:  # noqa: BLE001 (a scorer may raise anything; its picture counts)
            reason = f"{type(error).__name__}: {error}"
            logger.warning("score_failed score=%s row_id=%s reason=%s", self.name, row_id, reason)
            return None
        if found is None:
            return None
        if not math.isfinite(found):
            logger.warning("score_failed score=%s row_id=%s reason=%s", self.name, row_id, found)
            return None
        return round(float(found), _DIGITS)

    def _found(self, seen: Seen) -> float | None:
        if self._lock is None:
            return self._score(seen)
        with self._lock:
            return self._score(seen)


def columns_of(chosen: tuple[ChosenScorer, ...]) -> tuple[pa.Field, ...]:
    """Return the column of the records: for each image a number per score."""
    return (pa.field(SCORES, pa.struct([(each.find().name, pa.float64()) for each in chosen])),)


def deciding_scorer(config: RunConfig) -> Scorer:
    """Return the scorer that `best_of.by` names.

    Raises:
        ConfigError: it is not among the scores, no end of it is better, or `best_of.until` is
            outside its range.
    """
    assert config.best_of is not None
    by, until = config.best_of.by, config.best_of.until
    scorers = {scorer.name: scorer for scorer in map(_scorer, chosen_scorers(config.scores))}
    if by not in scorers:
        known = ", ".join(scorers) or "it has none"
        hint = did_you_mean(by, scorers) or "; add it to the section `scores`"
        raise ConfigError(f"best_of.by: {by!r} is not among the scores of this run ({known}){hint}")
    scorer = scorers[by]
    if scorer.better == "neither":
        raise ConfigError(f"best_of.by: {by}: neither end of this score is better; choose another")
    if not scorer.is_in_range(until):
        raise ConfigError(
            f"best_of.until: {until:g} is not a value of {by}; give one {scorer.range_text}"
        )
    return scorer


def _scorer(chosen: ChosenScorer) -> Scorer:
    return chosen.find()


def _options(config: RunConfig) -> dict[str, Any] | None:
    if config.best_of is not None:
        deciding_scorer(config)
    chosen = chosen_scorers(config.scores)
    return {"chosen": chosen} if chosen else None


def _load(options: Mapping[str, Any]) -> Look:
    scores = Scores(options["chosen"])

    def look(image: FinishedImage) -> Finding:
        sources = image.sources or Sources()
        seen = Seen(
            picture=Picture(image.image),
            content=sources.content,
            styles=sources.styles,
            prompt=image.row.prompt,
        )
        return Finding(values={SCORES: scores.of(seen, image.row.id)})

    return look


PLUGIN = ImagePlugin(
    name="scores",
    columns=lambda options: columns_of(options["chosen"]),
    on_error="fail",  # only a bug: a scorer that raises gives null
    needs_sources=True,
    options=_options,
    load=_load,
)
