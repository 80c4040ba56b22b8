"""Two outputs side by side: the rows that both completed, and the difference of each score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipelines.ledger.score_facts import ScoreFacts
from pipelines.tools.compare.bootstrap import Values, interval
from pipelines.tools.compare.sides import Side

FEW = 20
"""Pairs under which the percentile bootstrap gives intervals that are too narrow."""
_NAMED = 5
Better = Literal["higher", "lower", "neither"]
Verdict = Literal["a", "b", "lower", "higher", "none"]


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """One score over all pairs of rows that both outputs have it for.

    Attributes:
        name: its name in the records.
        title: its name for people.
        better: the direction in which an image gets better.
        rows: number of pairs.
        mean_a: mean over the rows of A.
        mean_b: mean over the rows of B.
        difference: mean of B minus A.
        interval: 95 % interval of that mean; None for a single pair.
        share_b_better: share of pairs in which B is better, 0 to 1; for `neither`: higher.
        share_equal: share of pairs without a difference.
    """

    name: str
    title: str
    better: Better
    rows: int
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float] | None
    share_b_better: float
    share_equal: float

    @property
    def verdict(self) -> Verdict:
        """The better output, or for `neither` the direction; `none`: the interval contains 0."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "none"
        if self.better == "neither":
            return "higher" if self.difference > 0 else "lower"
        return "b" if (self.difference > 0) == (self.better == "higher") else "a"


@dataclass(frozen=True, slots=True)
class SideCounts:
    """The rows of one output.

    Attributes:
        output: URI of the output.
        completed: number of completed rows.
        failed: number of failed rows.
        only_here: number of rows that the other output has no record of.
        failed_here: number of rows that failed here and that the other output completed.
    """

    output: str
    completed: int
    failed: int
    only_here: int
    failed_here: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        a: the rows of the first output.
        b: the rows of the second output.
        pairs: number of rows that both completed.
        failed_in_both: number of rows that failed in both.
        other_references: number of pairs whose content or style images differ by name.
        other_references_examples: ids of the first of these.
        scores: the scores that both have.
        not_compared: the other scores, each with the reason.
    """

    a: SideCounts
    b: SideCounts
    pairs: int
    failed_in_both: int
    other_references: int
    other_references_examples: tuple[str, ...]
    scores: tuple[ScoreDifference, ...]
    not_compared: dict[str, str]

    @property
    def has_few(self) -> bool:
        """True if the interval of a score rests on few pairs."""
        return any(score.rows < FEW for score in self.scores)


def paired(a: Side, b: Side) -> list[str]:
    """Return the ids of the rows that both outputs completed, in order."""
    return sorted(row_id for row_id in a.rows if a.has(row_id) and b.has(row_id))


def compare(a: Side, b: Side, ids: Sequence[str]) -> Comparison:
    """Compare two outputs.

    Args:
        a: the first.
        b: the second; a positive difference means that its score is higher.
        ids: the result of `paired`.
    """
    others = [i for i in ids if a.references[a.rows[i]] != b.references[b.rows[i]]]
    both_failed = sum(1 for i in a.rows if not a.has(i) and i in b.rows and not b.has(i))
    found, reasons = [], {}
    for name in dict.fromkeys([*a.facts, *b.facts, *a.scores, *b.scores]):
        result = _difference(name, a, b, ids)
        if isinstance(result, str):
            reasons[name] = result
        else:
            found.append(result)
    return Comparison(
        a=_counts(a, b),
        b=_counts(b, a),
        pairs=len(ids),
        failed_in_both=both_failed,
        other_references=len(others),
        other_references_examples=tuple(others[:_NAMED]),
        scores=tuple(found),
        not_compared=reasons,
    )


def values_of(side: Side, name: str, ids: Sequence[str]) -> Values:
    """Return a score of rows, `[n]`; NaN where there is none."""
    return np.array([side.score(name, row_id) for row_id in ids], np.float64)


def _counts(side: Side, other: Side) -> SideCounts:
    return SideCounts(
        output=side.uri,
        completed=side.completed,
        failed=side.failed,
        only_here=sum(1 for row_id in side.rows if row_id not in other.rows),
        failed_here=sum(1 for i in side.rows if not side.has(i) and other.has(i)),
    )


def _difference(name: str, a: Side, b: Side, ids: Sequence[str]) -> ScoreDifference | str:
    """Return the difference of a score, or the reason why it is not compared."""
    facts, other = a.facts.get(name), b.facts.get(name)
    if facts is not None and other is not None and facts.identity != other.identity:
        return "measured by other versions, options or weights in A and B"
    first, second = values_of(a, name, ids), values_of(b, name, ids)
    both = np.isfinite(first) & np.isfinite(second)
    if not both.any():
        lack = [label for label, found in (("A", first), ("B", second)) if np.isnan(found).all()]
        return f"no paired row of {' and '.join(lack)} has it" if lack else "no pair has it"
    return _summary(name, facts or other, first[both], second[both])


def _summary(name: str, facts: ScoreFacts | None, a: Values, b: Values) -> ScoreDifference:
    differences = b - a
    better: Better = "neither" if facts is None else facts.better
    improved = differences < 0 if better == "lower" else differences > 0
    return ScoreDifference(
        name=name,
        title=name if facts is None else facts.title,
        better=better,
        rows=len(a),
        mean_a=float(a.mean()),
        mean_b=float(b.mean()),
        difference=float(differences.mean()),
        interval=interval(differences),
        share_b_better=float(improved.mean()),
        share_equal=float((differences == 0).mean()),
    )
