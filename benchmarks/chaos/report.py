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


def table(results: Sequence[RoundResult]) -> str:
    """All rounds, as a Markdown table; losses count for every fault of their round."""
    lines = [
        "| fault | times | rows lost | rows duplicated | drawn again | seconds of drawing redone |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in FAULTS:
        with_it = [result for result in results if result.faults[name]]
        numbers = (
            sum(result.faults[name] for result in results),
            sum(result.lost for result in with_it),
            sum(result.duplicated for result in with_it),
            sum(result.redrawn[name] for result in results),
        )
        redone_s = sum(result.redone_s.get(name, 0.0) for result in results)
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} | {redone_s:.1f} |")
    spoiled = sum((result.spoiled for result in results), Counter[str]())
    for what, times in sorted(spoiled.items()):
        lines.append(f"| S3 request: {what} | {times} | 0 | 0 | | |")
    return "\n".join(lines)


def totals(results: Sequence[RoundResult]) -> str:
    """The promise in one line."""
    kills = sum(result.faults[name] for result in results for name in KILLS)
    return (
        f"{len(results)} rounds, {sum(result.runs for result in results)} runs, {kills} kills: "
        f"{sum(result.lost for result in results)} rows lost, "
        f"{sum(result.duplicated for result in results)} duplicate records, "
        f"{sum(result.unreadable for result in results)} unreadable outputs, "
        f"{sum(len(result.violations) for result in results)} violations"
    )
