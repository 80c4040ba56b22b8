"""The commands around a run, beside those of an earlier revision: CPU per row, and memory.

    python -m benchmarks.against ac64d33                              # 200,000 rows, three rounds
    python -m benchmarks.against ac64d33 --only plan --rows 1000000
    python -m benchmarks.against ac64d33 --rows 40000 --check         # fails below half a target

Unpacks the revision from git, and runs each measure in a process of its own, on the revision and on
this tree in turn. Each tree makes its own output; the manifests are the same. The CPU per row is
that of the rows beyond the first thousand: the start of a command is in none of them. Prints
medians, with the ratio of the revision's figure to this tree's.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.against.measures import MEASURES, Measure, Place
from benchmarks.against.trees import HERE, Cost, run_in, unpack

FEW_ROWS = 1000


def costs(measure: Measure, tree: Path, place: Place) -> Callable[[], Cost]:
    """Prepare a measure, and return a function that takes it once."""
    place.folder.mkdir(parents=True)
    kept = place.folder / "kept"
    if measure.prepare is not None:
        run_in(tree, measure.prepare(place))
        if measure.changes_output:
            shutil.copytree(place.folder / "out", kept)

    def take() -> Cost:
        if measure.changes_output:
            shutil.rmtree(place.folder / "out")
            shutil.copytree(kept, place.folder / "out")
        if measure.makes is not None:
            shutil.rmtree(place.folder / measure.makes, ignore_errors=True)
        return run_in(tree, ["-m", *measure.arguments(place)])

    return take


@dataclass(frozen=True)
class Compared:
    """A measure of both trees: µs of CPU per row, seconds and MB, the revision's first."""

    row_us: tuple[float, float]
    wall_s: tuple[float, float]
    peak_mb: tuple[float, float]

    @property
    def ratio(self) -> float:
        """The revision's CPU per row to this tree's."""
        return self.row_us[0] / max(self.row_us[1], 1e-3)

    def line(self, name: str, target: float) -> str:
        """Return a line of the table."""
        (then, now), (wall, wall_now), (peak, peak_now) = self.row_us, self.wall_s, self.peak_mb
        cells = [name, f"{then:.2f}", f"{now:.2f}", f"{self.ratio:.1f}", f"{target:g}"]
        cells += [f"{wall:.1f}", f"{wall_now:.1f}", f"{peak:.0f}", f"{peak_now:.0f}"]
        return f"| {' | '.join(cells)} |"


HEADER = (
    "| measure | revision, µs/row | here, µs/row | ratio | target "
    "| revision, s | here, s | revision, MB | here, MB |\n|---|---|---|---|---|---|---|---|---|"
)


def compare(
    measure: Measure, trees: tuple[Path, Path], inputs: dict[int, Path], folder: Path, rounds: int
) -> Compared:
    """Take a measure on both trees in turn, with few rows and with many.

    Args:
        measure: the measure.
        trees: the revision's and this one.
        inputs: the inputs by their number of rows.
        folder: an empty folder.
        rounds: the number of runs of each command.
    """
    takes = {
        (tree, rows): costs(measure, trees[tree], Place(folder / f"{tree}-{rows}", path, rows))
        for tree in (0, 1)
        for rows, path in inputs.items()
    }
    taken = [{key: take() for key, take in takes.items()} for _ in range(rounds)]
    few, many = min(inputs), max(inputs)

    def middle(tree: int, of: Callable[[Cost], float], rows: int = many) -> float:
        return median(of(one[tree, rows]) for one in taken)

    def row_us(tree: int) -> float:
        more = middle(tree, lambda cost: cost.cpu_s) - middle(tree, lambda cost: cost.cpu_s, few)
        return 1e6 * more / (many - few)

    return Compared(
        (row_us(0), row_us(1)),
        (middle(0, lambda cost: cost.wall_s), middle(1, lambda cost: cost.wall_s)),
        (middle(0, lambda cost: cost.peak_mb), middle(1, lambda cost: cost.peak_mb)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=[*MEASURES])
    parser.add_argument("--check", action="store_true", help="fail below half of a target")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trees = (unpack(arguments.revision, folder / "revision"), HERE)
        inputs = {rows: folder / f"inputs-{rows}" for rows in (FEW_ROWS, arguments.rows)}
        for rows, path in inputs.items():
            run_in(HERE, ["-m", "benchmarks.against.inputs", str(path), str(rows)])
        print(HEADER, flush=True)
        slow = []
        for name in arguments.only:
            measure, own = MEASURES[name], folder / name.replace(" ", "-")
            found = compare(measure, trees, inputs, own, arguments.rounds)
            print(found.line(name, measure.target), flush=True)
            shutil.rmtree(own)
            if found.ratio < measure.target / 2:
                slow.append(name)
    if arguments.check and slow:
        sys.exit(f"below half of the target: {', '.join(slow)}")


if __name__ == "__main__":
    main()
