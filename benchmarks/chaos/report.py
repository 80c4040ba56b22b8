"""The table at the end: what was done how often, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.chaos.faults import FAULTS, KILLS


@dataclass(frozen=True, slots=True)
class RoundResult:
    """One round.

    Attributes:
        faults: how often each was done.
        runs: drivers that were started.
        lost: rows without a record.
        duplicated: rows with several.
        unreadable: outputs that are not as recorded.
        redrawn: rows stored by a second process, by the fault before.
        redone_s: their seconds of drawing, by the fault before.
        spoiled: requests to S3, by what was done to them.
        violations: all that is wrong, in words.
    """

    faults: Counter[str]
    runs: int
    lost: int = 0
    duplicated: int = 0
    unreadable: int = 0
    redrawn: Counter[str] = field(default_factory=Counter)
    redone_s: Mapping[str, float] = field(default_factory=dict)
    spoiled: Counter[str] = field(default_factory=Counter)
    violations: tuple[str, ...] = ()


def kills_among(faults: Mapping[str, int]) -> int:
    """How many of these faults killed a process, or a node of them."""
    return sum(faults.get(name, 0) for name in KILLS)


def table(results: Sequence[RoundResult]) -> str:
    """All rounds, as a Markdown table; losses count for every fault of their round."""
    lines = [
        "| fault | times | rows lost | rows duplicated | drawn again | seconds of drawing redone |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in FAULTS:
        redrawn = sum(result.redrawn[name] for result in results)
        redone_s = sum(result.redone_s.get(name, 0.0) for result in results)
        times = [result.faults[name] for result in results]
        lines.append(f"| {name} | {_losses(results, times)} | {redrawn} | {redone_s:.1f} |")
    for what in sorted({what for result in results for what in result.spoiled}):
        times = [result.spoiled[what] for result in results]
        lines.append(f"| S3 request: {what} | {_losses(results, times)} | | |")
    return "\n".join(lines)


def _losses(results: Sequence[RoundResult], times: Sequence[int]) -> str:
    """How often something was done, and what the rounds lost in which it was."""
    with_it = [result for result, count in zip(results, times, strict=True) if count]
    lost = sum(result.lost for result in with_it)
    duplicated = sum(result.duplicated for result in with_it)
    return f"{sum(times)} | {lost} | {duplicated}"


def totals(results: Sequence[RoundResult]) -> str:
    """The promise in one line."""
    kills = sum(kills_among(result.faults) for result in results)
    return (
        f"{len(results)} rounds, {sum(result.runs for result in results)} runs, {kills} kills: "
        f"{sum(result.lost for result in results)} rows lost, "
        f"{sum(result.duplicated for result in results)} duplicate records, "
        f"{sum(result.unreadable for result in results)} unreadable outputs, "
        f"{sum(len(result.violations) for result in results)} violations"
    )
