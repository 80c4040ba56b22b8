"""Growth with the manifest: memory, and CPU per row, of the driver's whole loop.

    python -m benchmarks.growth                                   # 10,000, 100,000, 1,000,000 rows
    python -m benchmarks.growth --rows 10000000 --folder /big/disk      # half an hour, 3 GB there

The driver's own code reads, selects, dispatches, records and commits every row. The workers are in
its process and answer at once, so the driver is measured without Ray. Each size runs in its own
process. Prints the table of docs/benchmarks.md: CPU of all threads for each tenth of the rows (if
it rises, something grows with the rows), CPU after the last row (the last commit and compaction),
and memory. RssAnon is sampled after each hundredth of the rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.instant_pool import InstantPool, drive, instant_config
from benchmarks.pipeline import write_rows
from benchmarks.process_memory import memory_mb
from pipelines.driver.prepare import prepare
from pipelines.rows import ManifestRow
from pipelines.worker.spec import StylizerSpec

_SAMPLES = 100
_PARTS = 10


@dataclass(frozen=True)
class MemorySample:
    """The process at one moment.

    Attributes:
        cpu_s: CPU seconds so far, over all threads.
        anonymous_mb: RssAnon, in MB.
    """

    cpu_s: float
    anonymous_mb: float

    @classmethod
    def now(cls) -> MemorySample:
        """Sample this process."""
        return cls(time.process_time(), memory_mb("RssAnon"))


class WatchedInstantPool(InstantPool):
    """Samples the process each time another hundredth of the rows has been dispatched."""

    def __init__(self, spec: StylizerSpec, rows: int) -> None:
        super().__init__(spec)
        self._rows = rows
        self._submitted = 0
        self.samples = [MemorySample.now()]

    def submit(self, worker: str, rows: Sequence[ManifestRow]) -> None:
        """Accept rows and complete them."""
        super().submit(worker, rows)
        self._submitted += len(rows)
        if self._submitted >= self._rows * len(self.samples) / _SAMPLES:
            self.samples.append(MemorySample.now())


def measure(rows: int, folder: Path) -> str:
    """Run `rows` rows, and return a line of the table.

    Raises:
        AssertionError: a row was not completed.
    """
    manifest = folder / f"manifest-{rows}.parquet"
    if not manifest.exists():
        write_rows(manifest, rows)
    with tempfile.TemporaryDirectory(dir=folder) as output:
        began_s = time.monotonic()
        with prepare(instant_config(manifest, Path(output) / "out")) as prepared:
            pool = WatchedInstantPool(prepared.spec, rows)
            stats = drive(prepared, pool)
            prepared.ledger.compact()
            counted = prepared.ledger.counts()
        wall_s = time.monotonic() - began_s
    assert stats.completed == counted.completed == rows, (stats.completed, counted)
    return _line(rows, pool.samples, MemorySample.now(), wall_s)


def _line(rows: int, samples: list[MemorySample], end: MemorySample, wall_s: float) -> str:
    ends = samples[:: _SAMPLES // _PARTS]
    tenths = [
        1e6 * (after.cpu_s - before.cpu_s) / (rows / _PARTS) for before, after in pairwise(ends)
    ]
    anonymous = [sample.anonymous_mb for sample in samples]
    cells = [
        f"{rows:,}",
        " ".join(f"{tenth:.0f}" for tenth in tenths),
        f"{end.cpu_s - samples[-1].cpu_s:.1f} s",
        f"{memory_mb('VmHWM'):.0f} MB",
        f"{anonymous[0]:.0f} MB",
        f"{max(anonymous):.0f} MB",
        f"{anonymous[-1]:.0f} MB",
        f"{wall_s:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="folder that keeps the generated manifests")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if arguments.here:
            print(measure(arguments.rows[0], folder), flush=True)
            return
        print(
            "| rows | CPU per row by tenths, µs | CPU after the last row | VmHWM "
            "| RssAnon before | most | at the last row | wall |\n|---|---|---|---|---|---|---|---|",
            flush=True,
        )
        for rows in arguments.rows:
            _in_a_process(rows, folder)


def _in_a_process(rows: int, folder: Path) -> None:
    as_driver = [sys.executable, "-m", "benchmarks.as_driver", "benchmarks.growth", "--here"]
    subprocess.run([*as_driver, "--rows", str(rows), "--folder", str(folder)], check=True)


if __name__ == "__main__":
    main()
