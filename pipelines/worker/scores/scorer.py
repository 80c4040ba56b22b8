"""The description of a scorer, and the images that it sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipelines.config.strict import StrictModel
from pipelines.worker.scores.picture import Picture

Need = Literal["content", "style", "prompt"]
Direction = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A finished image with the inputs of its row.

    Attributes:
        picture: the image, at the size of the output.
        content: the content image, see `picture.Sources`; None if the row has none.
        styles: the style images.
        prompt: the prompt, possibly empty.
    """

    picture: Picture
    content: Picture | None = None
    styles: tuple[Picture, ...] = ()
    prompt: str = ""

    def has(self, need: Need) -> bool:
        """Return True if the row has an input."""
        given: dict[Need, object] = {
            "content": self.content,
            "style": self.styles,
            "prompt": self.prompt.strip(),
        }
        return bool(given[need])


Score: TypeAlias = Callable[[Seen], float | None]
"""A loaded scorer. It is called only with all its inputs; None means that they say nothing."""


class NoOptions(StrictModel):
    """The options of a scorer that has none."""


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """A scorer, before it is loaded.

    Attributes:
        name: field of `scores` in the records; letters, digits and `_`.
        title: short name for people.
        meaning: one sentence: the thing measured, its unit, and how several styles count.
        better: the direction in which an image gets better, all else being equal.
        low: lowest value; None: no bound.
        high: highest value; None: no bound.
        needs: inputs without which a row has no score.
        source: publication or page that defines the measure.
        options: model of the scorer's keys in the configuration.
        missing: says, for people, which things to install or download before a run; None:
            nothing is missing. It must be quick, and load neither torch nor weights.
        identity: returns facts that change the values, e.g. a hash of the weights.
        load: makes the function that scores; called once per worker.
        one_at_a_time: True if one thread at a time may call that function.
        version: number that grows when the same image gets another value.
    """

    name: str
    title: str
    meaning: str
    better: Direction
    low: float | None
    high: float | None
    needs: tuple[Need, ...] = ()
    source: str
    options: type[StrictModel] = NoOptions
    missing: Callable[[Any], str | None] = lambda _: None
    identity: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    load: Callable[[Any], Score]
    one_at_a_time: bool = False
    version: int = 1

    def is_in_range(self, value: float) -> bool:
        """Return True if the score can have a value."""
        too_low = self.low is not None and value < self.low
        return not too_low and (self.high is None or value <= self.high)

    @property
    def range_text(self) -> str:
        """The range for people: `from 0 to 1.73`."""
        low = "" if self.low is None else f"from {self.low:.3g}"
        return low if self.high is None else f"{low} to {self.high:.3g}".strip()

    def reaches(self, value: float | None, line: float) -> bool:
        """Return True if a value is as good as `line`, or better."""
        if value is None or math.isnan(value):
            return False
        return value <= line if self.better == "lower" else value >= line
