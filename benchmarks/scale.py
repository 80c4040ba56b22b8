"""The number of GPUs that one driver can feed, from the CPU time that a row takes.

    python -m benchmarks.scale                       # 16 actors with rows of 1 s, 32 of 0.25 s
    python -m benchmarks.scale --runs 16x1 64x0.5 --seconds 60

An actor is a Ray process of about 100 MB that takes two seconds of CPU to start, so a small machine
can simulate tens of GPUs, not hundreds. While the sleeping actors are at work, the benchmark
measures the share of a core that the driver and Ray's own processes take. This has a constant part
and a part per row, which two runs of different pace separate. From the part per row follows the
number of GPUs, with rows of 3 s, that keep one core of the driver 80 % busy. Prints the table of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

import ray

from benchmarks.driver_cpu import CpuWatch
from benchmarks.goodput import report, row_works, span, write_works
from benchmarks.sleeping import SleepingWorker
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from tests.integration.harness import read_records, run_config

_GPU_ROW_S = 3.0  # about one image of 1024x1024 on an H200
_BUSY = 0.8
_CPUS_PER_ACTOR = 0.05


@dataclass(frozen=True)
class Run:
    """Measurements of one run while all actors were at work.

    Attributes:
        actors: number of actors.
        work_s: seconds of work per row.
        rows_per_s: rows recorded per second.
        goodput: see `benchmarks.goodput`.
        driver: share of a core that the driver took, over all its threads.
        ray: share of a core that Ray's own processes took.
    """

    actors: int
    work_s: float
    rows_per_s: float
    goodput: float
    driver: float
    ray: float

    def __str__(self) -> str:
        cells = [str(self.actors), f"{self.work_s:g} s", f"{self.rows_per_s:.1f}"]
        cells += [f"{self.goodput:.3f}", f"{self.driver:.1%}", f"{self.ray:.1%}"]
        return f"| {' | '.join(cells)} |"


def measure(actors: int, work_s: float, seconds: float) -> Run:
    """Measure a run with `actors` actors that sleep `seconds` each, in rows of `work_s`."""
    works = row_works(work_s, seconds * actors, skew=False)
    watch = CpuWatch()
    with tempfile.TemporaryDirectory() as name:
        manifest, output = Path(name) / "manifest.parquet", Path(name) / "out"
        write_works(manifest, works)
        stylize = {"actors": actors, "cpus_per_actor": _CPUS_PER_ACTOR}
        config = RunConfig.model_validate(run_config(str(manifest), str(output), stylize=stylize))
        called_at = time.time()
        run(config, listener=watch, make_worker=SleepingWorker)
        spans = [span(record["device"]) for record in read_records(str(output))]
    first, last = watch.at_work
    elapsed_s = last.at_s - first.at_s
    return Run(
        actors=actors,
        work_s=work_s,
        rows_per_s=(last.rows - first.rows) / elapsed_s,
        goodput=report(spans, works, actors, called_at)["goodput"],
        driver=(last.driver_s - first.driver_s) / elapsed_s,
        ray=(last.ray_s - first.ray_s) / elapsed_s,
    )


def conclusion(slow: Run, fast: Run) -> str:
    """Return a sentence with the CPU time per row and the number of GPUs that it can feed."""
    difference = fast.rows_per_s - slow.rows_per_s
    driver_s, ray_s = (fast.driver - slow.driver) / difference, (fast.ray - slow.ray) / difference
    gpus = _GPU_ROW_S * _BUSY / driver_s
    return (
        f"Each further row takes {1e6 * driver_s:.0f} µs of the driver's CPU and "
        f"{1e6 * ray_s:.0f} µs of Ray's processes: one core at {_BUSY:.0%} feeds {gpus:,.0f} GPUs "
        f"with rows of {_GPU_ROW_S:g} s."
    )


def _run(text: str) -> tuple[int, float]:
    actors, work_s = text.split("x")
    return int(actors), float(work_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=_run, nargs="+", default=[(16, 1.0), (32, 0.25)], metavar="ACTORSxSECONDS"
    )
    parser.add_argument("--seconds", type=float, default=20, help="seconds of work per actor")
    arguments = parser.parse_args()
    max_actors = max(actors for actors, _ in arguments.runs)
    ray.init(
        address="local",
        num_cpus=2 + int(max_actors * _CPUS_PER_ACTOR),
        include_dashboard=False,
        object_store_memory=300 * 10**6,
        log_to_driver=False,
    )
    print("| actors | seconds per row | rows/s | goodput | driver, of a core | Ray's processes |")
    print("|---|---|---|---|---|---|")
    runs = []
    for actors, work_s in arguments.runs:
        runs.append(measure(actors, work_s, arguments.seconds))
        print(runs[-1], flush=True)
    by_pace = sorted(runs, key=lambda run: run.rows_per_s)
    if len(runs) > 1:
        print(f"\n{conclusion(by_pace[0], by_pace[-1])}")


if __name__ == "__main__":
    main()
