"""The scorers by name, and the choice of a configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from pipelines.config.key_paths import key_name
from pipelines.config.messages import problems_of
from pipelines.config.strict import StrictModel
from pipelines.errors import ConfigError
from pipelines.ledger.score_facts import ScoreFacts
from pipelines.worker.named_code import NamedCode, OwnCode
from pipelines.worker.scores.scorer import Scorer

BUILT_IN = "built_in"
"""The name in `scores` that stands for all scores without weights."""

_HERE = "pipelines.worker.scores"
_WITHOUT_WEIGHTS = {
    "palette": f"{_HERE}.palette:SCORER",
    "structure": f"{_HERE}.structure:SCORER",
    "sharpness": f"{_HERE}.sharpness:SCORER",
    "colourfulness": f"{_HERE}.colourfulness:SCORER",
    "near_copy_content": f"{_HERE}.near_copy:CONTENT",
    "near_copy_style": f"{_HERE}.near_copy:STYLE",
    "blank": f"{_HERE}.blank:SCORER",
}
_WITH_WEIGHTS = {
    name: f"{_HERE}.with_weights:{name.upper()}"
    for name in ("csd", "gram", "dino", "clip_i", "clip_t", "aesthetic")
}

SCORERS = NamedCode(
    key="scores",
    own={name: OwnCode(place) for name, place in {**_WITHOUT_WEIGHTS, **_WITH_WEIGHTS}.items()},
    group="uso_batch.scorers",
)
"""Our scorers; other packages may offer more."""


@dataclass(frozen=True, slots=True)
class ChosenScorer:
    """A scorer that a run asks for; picklable.

    Attributes:
        key: its key in `scores`.
        options: its options there.
    """

    key: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def find(self) -> Scorer:
        """Import the scorer.

        Raises:
            ConfigError: there is none of this name.
        """
        found = SCORERS.find(self.key)
        if not isinstance(found, Scorer):
            raise ConfigError(f"scores.{self.key}: this is not a Scorer")
        return found

    def checked_options(self) -> StrictModel:
        """Return the options as the scorer's own model.

        Raises:
            ConfigError: a key is unknown or has a wrong value.
        """
        model = self.find().options
        try:
            return model.model_validate(dict(self.options))
        except ValidationError as error:
            problems = [
                f"scores.{key_name((self.key, *path))}: {problem}"
                for path, problem in problems_of(error, self.options, model)
            ]
            raise ConfigError("\n".join(problems)) from error

    def facts(self) -> ScoreFacts:
        """Return the meaning of the score, for an output.

        Raises:
            ConfigError: see `checked_options`.
        """
        scorer = self.find()
        return ScoreFacts(
            name=scorer.name,
            title=scorer.title,
            meaning=scorer.meaning,
            better=scorer.better,
            low=scorer.low,
            high=scorer.high,
            needs=scorer.needs,
            source=scorer.source,
            identity=self._identity(scorer),
        )

    def _identity(self, scorer: Scorer) -> str:
        """Return 16 hex digits that change when the values of the score get another meaning."""
        facts = [scorer.name, scorer.version, dict(scorer.identity(self.checked_options()))]
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
        return blake2b(text.encode(), digest_size=8).hexdigest()


def chosen_scorers(scores: Mapping[str, Mapping[str, Any]]) -> tuple[ChosenScorer, ...]:
    """Return the scorers of the section `scores`, in its order.

    Raises:
        ConfigError: one is unknown, has wrong options, or lacks something on this machine; the
            message says what to install or download.
    """
    chosen = tuple(_expanded(scores))
    names: dict[str, str] = {}
    for each in chosen:
        scorer, options = each.find(), each.checked_options()
        other = names.setdefault(scorer.name, each.key)
        if other != each.key:
            raise ConfigError(f"scores: {other} and {each.key} are both named {scorer.name!r}")
        lack = scorer.missing(options)
        if lack is not None:
            raise ConfigError(f"scores.{each.key}: {lack}")
    return chosen


def known_scorer(name: str) -> Scorer | None:
    """Return the description of a score by its name in records; None for one of another package."""
    return ChosenScorer(name).find() if name in SCORERS.own else None


def _expanded(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[ChosenScorer]:
    for key, options in scores.items():
        if key != BUILT_IN:
            yield ChosenScorer(key, options)
            continue
        if options:
            raise ConfigError(f"scores.{BUILT_IN}: it has no options; give them to a score's name")
        yield from (ChosenScorer(name) for name in _WITHOUT_WEIGHTS if name not in scores)
