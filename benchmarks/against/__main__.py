"""The commands around a run, beside those of an earlier revision: CPU per row, and memory.

    python -m benchmarks.against ac64d33                              # 200,000 rows, three rounds
    python -m benchmarks.against ac64d33 --only plan --rows 1000000
    python -m benchmarks.against ac64d33 --rows 40000 --check         # fails below half a target

Unpacks the revision from git, and runs each measure in a process of its own, on the revision and on
this tree in turn. Each tree makes its own output; the manifests are the same. The CPU per row is
that of the rows beyond the first thousand: the start of a command is in none of them. Prints
medians, with the ratio of the revision's figure to this tree's. The report is also opened in
Chromium, if it is installed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        cost = run_in(tree, ["-m", *measure.arguments(place)])
        if measure.own_cpu_s is not None:
            cost = replace(cost, cpu_s=measure.own_cpu_s(cost.printed, place))
        return (
            cost if measure.makes is None else replace(cost, written=_bytes(place, measure.makes))
        )

    return take


def _bytes(place: Place, name: str) -> int:
    made = place.folder / name
    files = [made, *made.rglob("*")] if made.is_dir() else [made]
    return sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class Compared:
    """A measure of both trees, the revision's figure first.

    Attributes:
        row_us: µs of CPU per row.
        wall_s: seconds.
        peak_mb: peak memory in MB.
        row_bytes: bytes written per row.
    """

    row_us: tuple[float, float]
    wall_s: tuple[float, float]
    peak_mb: tuple[float, float]
    row_bytes: tuple[float, float] = (0, 0)

    @property
    def ratio(self) -> float:
        """The revision's CPU per row to this tree's."""
        return self.row_us[0] / max(self.row_us[1], 1e-3)

    @property
    def bytes_ratio(self) -> float:
        """The revision's bytes per row to this tree's."""
        return self.row_bytes[0] / max(self.row_bytes[1], 1e-3)

    def is_slow(self, measure: Measure) -> bool:
        """True below half of a target."""
        fewer = measure.bytes_target or 0
        return self.ratio < measure.target / 2 or self.bytes_ratio < fewer / 2

    def line(self, name: str, target: float) -> str:
        """Return a line of the table."""
        (then, now), (wall, wall_now), (peak, peak_now) = self.row_us, self.wall_s, self.peak_mb
        ratio = f"{self.ratio:.1f}" if self.ratio < 100 else "> 100"
        cells = [name, f"{then:.2f}", f"{now:.2f}", ratio, f"{target:g}"]
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
        inputs: the inputs by their number of rows; a measure may take fewer of them.
        folder: an empty folder.
        rounds: the number of runs of each command.
    """
    paths = {min(rows, measure.most_rows or rows): path for rows, path in inputs.items()}
    takes = {
        (tree, rows): costs(measure, trees[tree], Place(folder / f"{tree}-{rows}", path, rows))
        for tree in (0, 1)
        for rows, path in paths.items()
    }
    taken = [{key: take() for key, take in takes.items()} for _ in range(rounds)]
    few, many = min(paths), max(paths)

    def middle(tree: int, of: Callable[[Cost], float], rows: int = many) -> float:
        return median(of(one[tree, rows]) for one in taken)

    def per_row(tree: int, of: Callable[[Cost], float]) -> float:
        return (middle(tree, of) - middle(tree, of, few)) / (many - few)

    def cpu_us(cost: Cost) -> float:
        return 1e6 * cost.cpu_s

    return Compared(
        (per_row(0, cpu_us), per_row(1, cpu_us)),
        (middle(0, lambda cost: cost.wall_s), middle(1, lambda cost: cost.wall_s)),
        (middle(0, lambda cost: cost.peak_mb), middle(1, lambda cost: cost.peak_mb)),
        (per_row(0, lambda cost: cost.written), per_row(1, lambda cost: cost.written)),
    )


def opened(page: str, places: tuple[Path, Path]) -> str:
    """Return how long a browser takes to show the first row, on the pages of both trees."""
    seconds = []
    for place in places:
        arguments = ["-m", "benchmarks.against.opening", str(place / page)]
        said = subprocess.run(
            [sys.executable, *arguments], cwd=HERE, check=True, capture_output=True, text=True
        )
        seconds.append(said.stdout.strip())
    return f"{page} opens in {seconds[0]} (revision) and {seconds[1]} (here)"


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
            if measure.bytes_target is not None:
                then, now = found.row_bytes
                ratio = f"{found.bytes_ratio:.1f} ({measure.bytes_target:g})"
                print(f"{name}: bytes per row {then:.0f}, here {now:.0f}, ratio {ratio}")
            if measure.page is not None and shutil.which("chromium"):
                places = (own / f"0-{arguments.rows}", own / f"1-{arguments.rows}")
                print(opened(measure.page, places), flush=True)
            shutil.rmtree(own)
            if found.is_slow(measure):
                slow.append(name)
    if arguments.check and slow:
        sys.exit(f"below half of the target: {', '.join(slow)}")


if __name__ == "__main__":
    main()
