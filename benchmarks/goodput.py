"""Share of the actors' time spent on work: ours, a bare `ray.wait` loop and Ray Data compared.

    python -m benchmarks.goodput                       # 0.2 s rows, 8 actors, 60 s of work each
    python -m benchmarks.goodput --work 2 --seconds 180
    python -m benchmarks.goodput --skew                # rows of 1 to 8 times the work

Work is a sleep (see `benchmarks.sleeping`), so two cores can simulate 8 GPUs. Goodput is the total
work divided by actors times the time from the first start of work to the last end. Every row also
waits 0.2 s for its references and 0.3 s for the store; ours and Ray Data write records, the bare
loop does not. Prints one JSON line per system; `start_s` is the time from the call to the first
work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from benchmarks.sleeping import STEP_S, SleepingWorker
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.rows import ManifestRow
from pipelines.worker.spec import StylizerSpec
from tests.integration.harness import read_records, run_config
from uso_core.request import Parameters

Span = tuple[float, float]  # start and end of one row's work, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=float, default=0.2, help="seconds of work per row")
    parser.add_argument("--seconds", type=float, default=60, help="seconds of work per actor")
    parser.add_argument("--actors", type=int, default=8)
    parser.add_argument("--skew", action="store_true", help="rows of 1 to 8 times --work")
    parser.add_argument("--only", choices=sorted(SYSTEMS), nargs="+", help="only these systems")
    arguments = parser.parse_args()
    works = row_works(arguments.work, arguments.seconds * arguments.actors, skew=arguments.skew)
    ray.init(
        address="local",
        num_cpus=arguments.actors + 4,
        include_dashboard=False,
        object_store_memory=300 * 10**6,
        log_to_driver=False,
    )
    for name in arguments.only or SYSTEMS:
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "manifest.parquet"
            write_works(manifest, works)
            called_at = time.time()
            spans = SYSTEMS[name](manifest, Path(folder) / "out", arguments.actors)
        print(
            json.dumps(
                {
                    "system": name,
                    **vars(arguments),
                    **report(spans, works, arguments.actors, called_at),
                }
            )
        )


def row_works(work_s: float, total_s: float, *, skew: bool) -> list[float]:
    """Return the seconds of work of each row, `total_s` in total."""
    rng = random.Random(0)
    works: list[float] = []
    left = total_s
    while left > 0:
        works.append(work_s * (rng.choice([1, 1, 1, 2, 2, 4, 8]) if skew else 1))
        left -= works[-1]
    return works


def write_works(manifest: Path, works: Sequence[float]) -> None:
    """Write a manifest of rows that take these seconds."""
    ids = [f"row-{n:06d}" for n in range(len(works))]
    steps = [round(work / STEP_S) for work in works]
    table = pa.table({"id": ids, "prompt": [""] * len(works), "num_steps": steps})
    pq.write_table(table, manifest)


def report(
    spans: Sequence[Span], works: Sequence[float], actors: int, called_at: float
) -> dict[str, Any]:
    """Return the goodput and related figures."""
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    ends = sorted(end for _, end in spans)
    tail_from = ends[int(0.95 * len(ends)) - 1]
    return {
        "rows": len(spans),
        "goodput": round(sum(works) / (actors * (last - first)), 4),
        "goodput_with_start": round(sum(works) / (actors * (last - called_at)), 4),
        "start_s": round(first - called_at, 2),
        "last_5_percent_of_wall": round((last - tail_from) / (last - first), 4),
        "wall_s": round(last - first, 1),
    }


def ours(manifest: Path, output: Path, actors: int) -> list[Span]:
    """Run the pipeline unchanged, ledger included, on sleeping workers."""
    stylize = {"actors": actors, "max_rows_in_flight": 16}
    config = RunConfig.model_validate(run_config(str(manifest), str(output), stylize=stylize))
    run(config, make_worker=SleepingWorker)
    return [span(record["device"]) for record in read_records(str(output))]


def bare_loop(manifest: Path, _output: Path, actors: int) -> list[Span]:
    """Keep four rows in flight per actor with `ray.wait`; no records, no retries."""
    actor_class: Any = ray.remote(SleepingWorker)
    pool = [
        actor_class.options(num_cpus=1, max_concurrency=5).remote(_NO_SPEC) for _ in range(actors)
    ]
    listed = pq.read_table(manifest).to_pylist()
    rows = [_manifest_row(row["id"], row["num_steps"]) for row in listed]
    waiting: dict[Any, Any] = {}
    spans: list[Span] = []
    for actor in pool * 4:
        if rows:
            waiting[actor.stylize.remote(rows.pop())] = actor
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        actor = waiting.pop(done[0])
        spans.append(span(ray.get(done[0]).device))
        if rows:
            waiting[actor.stylize.remote(rows.pop())] = actor
    for actor in pool:
        ray.kill(actor)
    return spans


class RayDataUDF:
    """The same work as a batch function."""

    def __init__(self) -> None:
        self._worker = SleepingWorker(_NO_SPEC)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return one row for each row."""
        rows = zip(batch["id"], batch["num_steps"], strict=True)
        outcomes = [self._worker.stylize(_manifest_row(row_id, int(n))) for row_id, n in rows]
        return {"id": batch["id"], "span": [outcome.device for outcome in outcomes]}


def ray_data_plain(manifest: Path, output: Path, actors: int) -> list[Span]:
    """Run read_parquet, repartition, map_batches, write_parquet, as in the documentation."""
    dataset = ray.data.read_parquet(str(manifest)).repartition(4 * actors)
    dataset = dataset.map_batches(
        RayDataUDF, batch_size=4, compute=ray.data.ActorPoolStrategy(size=actors), num_cpus=1
    )
    return _written(dataset, output)


def ray_data_tuned(manifest: Path, output: Path, actors: int) -> list[Span]:
    """Run small blocks, one row per batch, several concurrent calls in each actor."""
    rows = pq.read_metadata(manifest).num_rows
    dataset = ray.data.read_parquet(str(manifest)).repartition(max(4 * actors, rows // 4))
    pool = ray.data.ActorPoolStrategy(
        size=actors,
        max_tasks_in_flight_per_actor=8,
        max_concurrent_calls_per_actor=5,
        enable_true_multi_threading=True,  # otherwise calls of one actor wait for each other
    )
    dataset = dataset.map_batches(RayDataUDF, batch_size=1, compute=pool, num_cpus=1)
    return _written(dataset, output)


def _written(dataset: Any, output: Path) -> list[Span]:  # noqa: ANN401 - Ray Data is untyped
    dataset.write_parquet(str(output))
    return [span(text) for text in pq.read_table(output)["span"].to_pylist()]


def _manifest_row(row_id: str, num_steps: int) -> ManifestRow:
    return ManifestRow(row_id, "", None, (), Parameters(num_steps=num_steps), "none")


def span(text: str) -> Span:
    """Parse the start and end that a `SleepingWorker` returns."""
    start, end = text.split()
    return float(start), float(end)


_NO_SPEC = StylizerSpec.from_config(
    RunConfig.model_validate({"manifest": {"path": "none"}, "output": {"path": "none"}})
)

SYSTEMS: dict[str, Callable[[Path, Path, int], list[Span]]] = {
    "ours": ours,
    "bare ray.wait loop": bare_loop,
    "ray data, plain": ray_data_plain,
    "ray data, tuned": ray_data_tuned,
}

if __name__ == "__main__":
    main()
