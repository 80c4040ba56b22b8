"""The whole pipeline with the tiny model: rows per second, time to the first image, driver memory.

    python -m benchmarks.pipeline                  # rows/s and first image: the real (tiny) model
    python -m benchmarks.pipeline --memory 10000   # driver memory, with workers that do no work
    python -m benchmarks.pipeline --memory 1000000

Prints one JSON line per measurement. Driver memory is the peak resident memory of the driver's
process on a manifest of the given size. The workers answer at once and store no image, so every row
passes through the driver, its dispatcher and its ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.rows import ManifestRow, Outcome, Timings
from pipelines.worker.activity import Activity, WorkerInfo
from pipelines.worker.spec import StylizerSpec
from tests.integration.harness import manifest_rows, run_config, write_manifest, write_references

_NOTHING = Timings(fetch=0.1, condition=0.1, inference=0.1, decode=0.1, store=0.1)


class NoWork:
    """A worker that answers at once and stores nothing."""

    def __init__(self, _spec: StylizerSpec) -> None:
        node, pid = platform.node(), os.getpid()
        self._info = WorkerInfo(f"{node}:{pid}", "none", node, pid)

    def info(self) -> WorkerInfo:
        """Return the node and process of the worker."""
        return self._info

    def stylize(self, row: ManifestRow) -> Outcome:
        """Complete the row."""
        return Outcome(row_id=row.id, width=64, height=64, timings=_NOTHING)

    def cancel(self, row_id: str) -> None:
        """Do nothing: rows run to their end."""

    def activity(self) -> Activity:
        """Return zeros: no work is ever in progress."""
        return Activity(fetching=0, drawing=0, storing=0, cache_hits=0, cache_misses=0)


def write_rows(path: Path, count: int) -> None:
    """Write a manifest of `count` rows with one URI each, in row groups of 50,000."""
    schema = pa.schema(
        [("id", pa.string()), ("prompt", pa.string()), ("content_image", pa.string())]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, count, 50_000):
            numbers = range(start, min(start + 50_000, count))
            columns = {
                "id": [f"photo-{n:09d}" for n in numbers],
                "prompt": [f"a picture of thing {n % 1000}" for n in numbers],
                "content_image": [f"s3://bucket/photos/{n:09d}.jpg" for n in numbers],
            }
            writer.write_table(pa.table(columns, schema=schema))


class MemoryWatch:
    """Samples the resident memory of this process once a second, in MB."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._process = psutil.Process()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sampling."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(1):
            self.samples.append(self._process.memory_info().rss / 1e6)


def measure_memory(rows: int, folder: Path) -> dict[str, Any]:
    """Take `rows` rows through the driver, with workers that do no work."""
    manifest = folder / "manifest.parquet"
    write_rows(manifest, rows)
    config = RunConfig.model_validate(
        run_config(str(manifest), str(folder / "out"), stylize={"max_rows_in_flight": 32})
    )
    watch = MemoryWatch()
    began, cpu = time.monotonic(), time.process_time()
    summary = run(config, make_worker=NoWork)
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    watch.close()
    settled = watch.samples[len(watch.samples) // 10 :] or watch.samples
    return {
        "what": "driver memory",
        "rows": rows,
        "completed": summary.completed,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "rss_early_mb": round(settled[0]),
        "rss_late_mb": round(settled[-1]),
        "rows_per_s": round(rows / wall_s),
        "driver_cpu_ms_per_row": round(1e3 * cpu_s / rows, 3),
        "first_row_s": round(summary.first_image_s or 0, 2),
        "wall_s": round(wall_s, 1),
    }


def measure_rows_per_s(rows: int, folder: Path) -> dict[str, Any]:
    """Run the real pipeline with the tiny model: 64x64 px, 4 steps, content and style."""
    references = write_references(folder / "refs", 8)
    listed = manifest_rows(rows, [f"refs/{name}" for name in references])
    for row in listed:
        row |= {"width": 64, "height": 64, "num_steps": 4, "content_long_size": 64}
    manifest = write_manifest(folder / "manifest.parquet", listed)
    config = RunConfig.model_validate(run_config(str(manifest), str(folder / "out")))
    summary = run(config)
    working_s = summary.elapsed_s - (summary.first_image_s or 0)
    return {
        "what": "pipeline, tiny model",
        "rows": rows,
        "completed": summary.completed,
        "first_image_s": round(summary.first_image_s or 0, 2),
        "rows_per_s_after_first": round(rows / working_s, 1),
        "rows_per_s_with_start": round(rows / summary.elapsed_s, 1),
        "wall_s": round(summary.elapsed_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400, help="rows for the tiny model")
    parser.add_argument("--memory", type=int, help="measure driver memory over this many rows")
    parser.add_argument("--memory-here", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        here = ["benchmarks.pipeline", "--memory-here", str(arguments.memory)]
        subprocess.run([sys.executable, "-m", "benchmarks.as_driver", *here], check=True)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.memory_here:
            result = measure_memory(arguments.memory_here, folder)
        else:
            result = measure_rows_per_s(arguments.rows, folder)
    print(json.dumps({**result, "cpus": os.cpu_count(), "python": platform.python_version()}))


if __name__ == "__main__":
    main()
