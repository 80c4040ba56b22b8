"""The final table: the number of faults of each kind, and their cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.chaos.faults import FAULTS, KILLS


@dataclass(frozen=True, slots=True)
class RoundResult:
    """The result of one round.

    Attributes:
        faults: number of faults of each kind.
        runs: number of drivers that were started.
        lost: number of rows without a record.
        duplicated: number of rows with several records.
        unreadable: number of images that are missing or differ from their record.
        regenerated: rows stored by a second process, by the preceding fault.
        redone_s: seconds to generate those rows, by the preceding fault.
        faulty: requests to S3, by the fault that they got.
        violations: descriptions of all violations.
    """

    faults: Counter[str]
    runs: int
    lost: int = 0
    duplicated: int = 0
    unreadable: int = 0
    regenerated: Counter[str] = field(default_factory=Counter)
    redone_s: Mapping[str, float] = field(default_factory=dict)
    faulty: Counter[str] = field(default_factory=Counter)
    violations: tuple[str, ...] = ()


def kills_among(faults: Mapping[str, int]) -> int:
    """Return how many of these faults killed a process or a node."""
    return sum(faults.get(name, 0) for name in KILLS)


def table(results: Sequence[RoundResult]) -> str:
    """Return all rounds as a Markdown table; a loss counts for every fault of its round."""
    lines = [
        "| fault | times | rows lost | rows duplicated "
        "| generated again | seconds of generation redone |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in FAULTS:
        regenerated = sum(result.regenerated[name] for result in results)
        redone_s = sum(result.redone_s.get(name, 0.0) for result in results)
        times = [result.faults[name] for result in results]
        lines.append(f"| {name} | {_losses(results, times)} | {regenerated} | {redone_s:.1f} |")
    for what in sorted({what for result in results for what in result.faulty}):
        times = [result.faulty[what] for result in results]
        lines.append(f"| S3 request: {what} | {_losses(results, times)} | | |")
    return "\n".join(lines)


def _losses(results: Sequence[RoundResult], times: Sequence[int]) -> str:
    """Return the number of times a fault occurred, and the losses of those rounds."""
    with_it = [result for result, count in zip(results, times, strict=True) if count]
    lost = sum(result.lost for result in with_it)
    duplicated = sum(result.duplicated for result in with_it)
    return f"{sum(times)} | {lost} | {duplicated}"


def totals(results: Sequence[RoundResult]) -> str:
    """Return the guarantees' result in one line."""
    kills = sum(kills_among(result.faults) for result in results)
    return (
        f"{len(results)} rounds, {sum(result.runs for result in results)} runs, {kills} kills: "
        f"{sum(result.lost for result in results)} rows lost, "
        f"{sum(result.duplicated for result in results)} duplicate records, "
        f"{sum(result.unreadable for result in results)} unreadable outputs, "
        f"{sum(len(result.violations) for result in results)} violations"
    )
