"""The rows that get another try, as a function of the recorded tries alone.

Round r gives a try to each row that is not good enough after r tries, the worst first, until the
budget is spent. All tries of a round are drawn before the next one is decided. So neither the order
in which rows end nor an interruption changes which rows get one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RecordedTries:
    """The completed rows of an output, sorted by id.

    Attributes:
        scores: `[rows, n]`, the deciding score of each try; NaN if it has none or was not drawn.
        kept: `[rows]`, that of the kept try. It is the best one, unless another score decided then.
        drawn: `[rows]`, tries so far, at least 1.
        images: `[rows]`, images of one try.
    """

    scores: Floats
    kept: Floats
    drawn: Ints
    images: Ints


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of the tries.

    Attributes:
        by: name of the deciding score.
        n: most tries of a row.
        lower_is_better: the direction of the score.
        until: score with which a row is good enough.
        max_extra: most images beyond the first tries; None: no bound.
    """

    by: str
    n: int
    lower_is_better: bool
    until: float
    max_extra: int | None


def rows_to_try(tries: RecordedTries, rule: Rule, given_up: npt.NDArray[np.bool_]) -> Ints:
    """Return the rows of the earliest round that is not complete, the worst first.

    Args:
        tries: the tries so far.
        rule: the rule.
        given_up: `[rows]`, rows whose next try has failed in this run.

    Returns:
        `[k]`, numbers of rows; empty once no row gets another try.
    """
    sign = -1.0 if rule.lower_is_better else 1.0
    values = sign * tries.scores
    spent = int(((tries.drawn - 1) * tries.images).sum())
    left = rule.max_extra
    for number in range(1, rule.n):
        best = np.where(tries.drawn == number, sign * tries.kept, _best(values[:, :number]))
        is_candidate = (tries.drawn >= number) & (best < sign * rule.until)
        rows = np.flatnonzero(is_candidate)
        rows = rows[np.argsort(best[rows], kind="stable")]
        if left is not None:
            rows = _within(rows, tries.images, left)
            left -= int(tries.images[rows].sum())
        waiting: Ints = rows[(tries.drawn[rows] == number) & ~given_up[rows]]
        if rule.max_extra is not None:
            waiting = _within(waiting, tries.images, rule.max_extra - spent)
        if len(waiting):
            return waiting
    return np.empty(0, np.int64)


def _best(values: Floats) -> Floats:
    """Return the highest value of each row, `[rows]`; NaN for a row without one."""
    known = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return np.where(np.isneginf(known), np.nan, known)


def _within(rows: Ints, images: Ints, most: int) -> Ints:
    """Return the first rows that have at most `most` images together."""
    fitting: Ints = rows[np.cumsum(images[rows]) <= most]
    return fitting
