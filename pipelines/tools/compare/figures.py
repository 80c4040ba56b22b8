"""The numbers of a comparison as text, the same in a terminal and on a page."""

from __future__ import annotations

import math

from pipelines.tools.compare.comparison import FEW, ScoreDifference

FEW_TEXT = f"intervals of fewer than {FEW} rows are too narrow: compare more rows"
_VERDICTS = {
    "a": "A is better",
    "b": "B is better",
    "higher": "higher in B",
    "lower": "lower in B",
    "none": "no difference shown",
}


def number(value: float) -> str:
    """Return a number with four significant digits, or three decimals below 1."""
    if value and abs(value) < 0.0005:
        return f"{value:.1e}"
    digits = 3 if abs(value) < 1 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def signed(value: float) -> str:
    """Return a number with its sign; 0 has none."""
    return f"+{number(value)}" if value > 0 else number(value)


def share(value: float) -> str:
    """Return a share as a percentage; only all and nothing are 100 % and 0 %."""
    if 0 < value < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= value < 1 else f"{value:.0%}".replace("%", " %")


def interval_text(score: ScoreDifference) -> str:
    """Return the 95 % interval of a difference."""
    if score.interval is None:
        return "one row only"
    low, high = score.interval
    return f"{signed(low)} to {signed(high)}"


def verdict_text(score: ScoreDifference) -> str:
    """Return the verdict of a score for people."""
    return _VERDICTS[score.verdict]
