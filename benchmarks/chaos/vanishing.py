"""A round with a local output that vanishes while a driver works on it, and comes back."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.place import END_S, Place, Result

_MAY_LAND = 1  # a commit that had read the lease before the folder was emptied


def removed(output: Path, aside: Path) -> None:
    """Take the folder away."""
    output.rename(aside)


def replaced(output: Path, aside: Path) -> None:
    """Put another folder, with a file, in its place."""
    output.rename(aside)
    output.mkdir()
    (output / "foreign.txt").write_text("foreign")


def emptied(output: Path, aside: Path) -> None:
    """Empty it in place; the mount point of an unmounted disk looks like this."""
    aside.mkdir()
    for path in sorted(output.iterdir(), reverse=True):  # run/, then records/
        path.rename(aside / path.name)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "removed": removed,
    "emptied": emptied,
    "replaced": replaced,
}


def vanishing_round(place: Place, way: str, dice: random.Random) -> Result:
    """Let the output vanish at a random moment, bring it back, and run the same command again."""
    output, aside = Path(place.output), place.folder / "aside"
    violations: list[str] = []
    first = place.start()
    if not place.wait_for_parts(first, more_than=0):
        return place.result("vanishing", way, [f"it ended too early: {first.printed}"])
    time.sleep(dice.uniform(0, 0.8))
    WAYS[way](output, aside)
    if first.ends_within(END_S) and first.process.returncode != 1:
        violations.append(f"the run ended with {first.process.returncode}: {first.printed}")
    if str(output) not in first.printed:
        violations.append(f"the run does not name the folder: {first.printed}")
    records = list((output / "records").glob("*.parquet")) if output.exists() else []
    if len(records) > (_MAY_LAND if way == "emptied" else 0):
        violations.append(f"records in the folder that took its place: {records}")
    _bring_back(output, aside)
    second = place.start()
    if second.ends_within(END_S) and second.process.returncode != 0:
        violations.append(f"the second run ended with {second.process.returncode}")
    return place.result("vanishing", way, violations)


def _bring_back(output: Path, aside: Path) -> None:
    if output.exists():
        shutil.rmtree(output)
    aside.rename(output)
