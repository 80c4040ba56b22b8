"""Resuming a long run: seconds until the first unrecorded row is on an actor, and driver memory.

    python -m benchmarks.ledger                        # 10 million rows recorded, 1,000 left
    python -m benchmarks.ledger --recorded 500000
    python -m benchmarks.ledger --folder /big/disk     # an empty folder, which keeps the files
    python -m benchmarks.ledger --recorded 100000000 --folder /big/disk    # 10 GB

Writes a manifest whose first rows are recorded, with the real digests and the real writer of parts,
and whose last rows are not: the worst place for them. Then a new process resumes the run with
workers that do no work, and another one runs `uso status`. Prints one JSON line each: wall and CPU
seconds, the peak resident memory (VmHWM) of the process, the number of objects listed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.pipeline import NoWork
from benchmarks.process_memory import memory_mb
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.editions import Place
from pipelines.ledger.compaction import MAX_ROWS
from pipelines.ledger.part_writer import PartWriter
from pipelines.ledger.parts import list_parts
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.own_columns import own_digests
from pipelines.manifest.source_digest import Digests, SourceDigests
from pipelines.record import SCHEMA_VERSION, record_schema
from pipelines.storage.storage import Storage
from pipelines.telemetry.snapshot import Snapshot
from tests.integration.harness import run_config
from uso_core.loading.source import ModelSource, describe_model

_EXTRA = pa.schema([("photographer", pa.string())])
_FAILED_EVERY = 1000  # one recorded row in this many has failed for good
_ERROR = {
    "code": "uri_not_found",
    "message": "s3://photos does not hold it",
    "stage": "fetch",
    "retryable": False,
    "uri": "s3://photos",
}
_SAME_FOR_ALL = {
    "model": "tiny",
    "preset": "exact",
    "attempt": 1,
    "run_id": "20260101T000000-abcdef-1",
    "worker": "node:1",
    "device": "NVIDIA H200",
    "schema_version": SCHEMA_VERSION,
}
FILE_ROWS = 10_000_000
_STEPS = ("build", "resume", "status")


def manifest_rows(start: int, stop: int) -> pa.RecordBatch:
    """Return rows of a manifest: two URIs each, a unique prompt, a column of the user's."""
    numbers = pa.array(np.arange(start, stop))
    names = pc.utf8_lpad(numbers.cast(pa.string()), 10, "0")
    columns = {
        "id": text("photo-", names),
        "prompt": text("a picture of a thing, in the style of number ", names),
        "content_image": text("s3://photos/2026/", names, ".jpg"),
        "style_image": text("s3://paintings/", pc.utf8_slice_codeunits(names, 6), ".jpg"),
        "seed": numbers,
        "photographer": text("somebody ", pc.utf8_slice_codeunits(names, 7)),
    }
    return pa.RecordBatch.from_pydict(columns)


def text(*pieces: str | pa.Array) -> pa.Array:
    """Join columns and constants to strings, `[n]`."""
    return pc.binary_join_element_wise(*pieces, "")


def random_hex(rng: np.random.Generator, count: int, num_bytes: int) -> pa.Array:
    """Return random hashes, `[count]`, in hex."""
    digits = pa.py_buffer(rng.bytes(count * num_bytes).hex().encode())
    offsets = np.arange(count + 1, dtype=np.int32) * (2 * num_bytes)
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(offsets), digits])


def one_each(values: pa.Array, missing: npt.NDArray[np.bool_]) -> pa.Array:
    """Return lists of one value, `[n]`, null where `missing`."""
    offsets = np.arange(len(values) + 1, dtype=np.int32)
    lists = pa.ListArray.from_arrays(offsets, values)
    return pc.if_else(missing, pa.scalar(None, lists.type), lists)


def build(folder: Path, recorded: int, left: int) -> None:
    """Write the manifest, and the records of its first rows in the form that compaction leaves.

    Each core writes a file of the manifest or some parts at a time.
    """
    (folder / "manifest").mkdir(parents=True)
    files = [
        (start, min(start + FILE_ROWS, recorded + left))
        for start in range(0, recorded + left, FILE_ROWS)
    ]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for work in (write_file, write_records):
            done = [pool.submit(work, folder, recorded, *rows) for rows in files]
            for one in done:
                one.result()


def write_file(folder: Path, recorded: int, start: int, stop: int) -> None:
    """Write one file of the manifest; no row group has recorded rows and others."""
    path = folder / f"manifest/{start:010}.parquet"
    middle = min(max(start, recorded), stop)
    with pq.ParquetWriter(path, manifest_rows(0, 1).schema) as writer:
        for first, end in [*ranges(start, middle), *ranges(middle, stop)]:
            writer.write_batch(manifest_rows(first, end))


def write_records(folder: Path, recorded: int, start: int, stop: int) -> None:
    """Write the records of one file of the manifest."""
    config, card = resume_config(folder), describe_model(ModelSource("tiny"))
    inputs = {name: name for name in manifest_rows(0, 1).schema.names if name not in _EXTRA.names}
    digests = SourceDigests(config, card, inputs)
    edition = Manifest.open(config, card).editions[start // FILE_ROWS]
    schema = record_schema(_EXTRA)
    rng = np.random.default_rng(start)
    writer = PartWriter(Storage.at(config.output.path), f"benchmark-{start}", [])
    for first, end in ranges(start, min(stop, recorded)):
        rows = manifest_rows(first, end)
        source = digests.of_batch(rows, f"{folder}/manifest/")
        found = records(rows, source, Place(edition.digest, first - start), schema, rng)
        writer.write(found.to_batches(), schema)


def ranges(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Split the rows from `start` to `stop` into ranges of one part each."""
    return ((at, min(at + MAX_ROWS, stop)) for at in range(start, stop, MAX_ROWS))


def records(
    rows: pa.RecordBatch,
    source: Digests,
    first: Place,
    schema: pa.Schema,
    rng: np.random.Generator,
) -> pa.Table:
    """Return records of manifest rows from `first` on; hashes and fingerprints are random."""
    count = len(rows)
    failed = np.arange(count) % _FAILED_EVERY == _FAILED_EVERY - 1
    errors = pa.repeat(pa.scalar(_ERROR, schema.field("error").type), count)
    columns: dict[str, pa.Array] = {
        **{name: rows[name] for name in ("id", "prompt", "content_image", "seed", "photographer")},
        "status": pc.if_else(failed, "failed", "completed"),
        "outputs": one_each(text("images/3f/", rows["id"], ".png"), failed),
        "sha256": one_each(random_hex(rng, count, 32), failed),
        "error": pc.if_else(failed, errors, pa.scalar(None, errors.type)),
        "style_images": one_each(rows["style_image"], np.zeros(count, bool)),
        "fingerprint": random_hex(rng, count, 16),
        "source_digest": pa.array(source),
        "edition_digest": pa.repeat(pa.scalar(first.edition), count),
        "edition_row": pa.array(np.arange(first.row, first.row + count)),
        "columns_digest": pa.array(own_digests({"photographer": rows["photographer"]}, count)),
    }
    constants = {**_SAME_FOR_ALL, "created_at": datetime.now(timezone.utc)}
    arrays = [
        columns[f.name] if f.name in columns else pa.scalar(constants.get(f.name), f.type)
        for f in schema
    ]
    full = [a if isinstance(a, pa.Array) else pa.repeat(a, count) for a in arrays]
    return pa.Table.from_arrays(
        [a.cast(f.type) for a, f in zip(full, schema, strict=True)], schema=schema
    )


def resume_config(folder: Path) -> RunConfig:
    """Return the configuration of the run to resume."""
    return RunConfig.model_validate(
        run_config(
            str(folder / "manifest"),
            str(folder / "out"),
            on_error={"max_failed_fraction": 1},
            fetch={"fingerprint": "uri"},  # there is no such bucket
        )
    )


class Phases:
    """Notes the time at which the driver starts to wait for something else; a `Listener`."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Note the phase."""
        self.begun.setdefault(snapshot.waiting_for, round(snapshot.elapsed_s, 1))


def resume(folder: Path, recorded: int, left: int) -> dict[str, Any]:
    """Resume the run in this process.

    Raises:
        AssertionError: the run worked on other rows than the unrecorded ones.
    """
    config = resume_config(folder)
    parts = list_parts(Storage.at(config.output.path))
    phases = Phases()
    cpu = time.process_time()
    summary = run(config, listener=phases, make_worker=NoWork)
    cpu_s = time.process_time() - cpu
    assert (summary.skipped, summary.completed) == (recorded, left), summary
    return {
        "what": "resume",
        "recorded": recorded,
        "left": left,
        "first_row_on_actor_s": round(summary.first_image_s or 0, 1),
        "phases_begun_s": phases.begun,
        "driver_cpu_s": round(cpu_s, 1),
        "driver_peak_mb": round(memory_mb("VmHWM")),
        "objects_listed": len(parts),
        "records_mb": round(sum(part.num_bytes for part in parts) / 1e6),
    }


def status(folder: Path) -> dict[str, Any]:
    """Run `uso status` in a process of its own."""
    command = [sys.executable, "-m", "jobs.cli", "status", str(folder / "out"), "--json"]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        counts = json.loads(process.stdout.read())
        _, _, usage = os.wait4(process.pid, 0)
    return {
        "what": "status",
        "completed": counts["completed"],
        "failed": counts["failed"],
        "wall_s": round(time.monotonic() - began, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1e3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recorded", type=int, default=10_000_000)
    parser.add_argument("--left", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="an empty folder")
    parser.add_argument("--step", choices=_STEPS, help="only this step, in --folder")
    arguments = parser.parse_args()
    if arguments.step is None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder or Path(temporary)
            for step in _STEPS:
                _run_step(step, folder, arguments)
    elif arguments.step == "build":
        build(arguments.folder, arguments.recorded, arguments.left)
    elif arguments.step == "resume":
        _show(resume(arguments.folder, arguments.recorded, arguments.left))
    else:
        _show(status(arguments.folder))


def _run_step(step: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Run a step in a process of its own, so that its memory is measured alone."""
    as_driver = [sys.executable, "-m", "benchmarks.as_driver"]
    command = ["benchmarks.ledger", "--step", step, "--folder", str(folder)]
    sizes = ["--recorded", str(arguments.recorded), "--left", str(arguments.left)]
    subprocess.run([*as_driver, *command, *sizes], check=True)


def _show(result: dict[str, Any]) -> None:
    machine = {"load_1m": round(os.getloadavg()[0], 1), "cpus": os.cpu_count()}
    print(json.dumps({**result, **machine, "python": platform.python_version()}), flush=True)


if __name__ == "__main__":
    main()
