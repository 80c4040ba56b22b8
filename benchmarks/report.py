"""Time and memory that `uso report` takes, on generated records.

    .venv/bin/python -m benchmarks.report --rows 100000 --thumbnails 1000
    .venv/bin/python -m benchmarks.report --rows 1000000 --size 64 --shuffled
    .venv/bin/python -m benchmarks.report --rows 200 --thumbnails 200 --against

The rows share a few real images, so only the number of thumbnails matters. The report is made in a
process of its own, twice: the second one finds the thumbnails of the first.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.against.trees import HERE, Cost, run_in
from pipelines.failures import Failure
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome, Timings
from pipelines.storage.storage import Storage
from uso_core.request import Parameters

STYLES, RESULTS, PART_ROWS = 12, 200, 10_000
EXTRA = pa.schema([("score", pa.float64()), ("album", pa.string())])
WORDS = ("a", "the", "cat", "harbour", "portrait", "night", "snow", "garden", "bridge", "lamp")
BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)


_GENERATE = """
from pathlib import Path
from benchmarks.report import generate
generate(Path({folder!r}), {rows}, {size}, {seed}, shuffled={shuffled})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--thumbnails", type=int, default=0)
    parser.add_argument("--size", type=int, default=1024, help="side of the images, in pixels")
    parser.add_argument("--against", action="store_true", help="compare it with another run")
    parser.add_argument(
        "--shuffled", action="store_true", help="record rows in random order, not in that of ids"
    )
    parser.add_argument("--out", type=Path, help="keep the output here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        output = (options.out or Path(folder)).resolve()
        report = ["report", str(output), "--thumbnails", str(options.thumbnails or "none")]
        outputs = [output]
        if options.against:
            outputs.append(output / "other")
            report += ["--against", str(outputs[1])]
        for seed, one in enumerate(outputs):
            facts = {"rows": options.rows, "size": options.size, "shuffled": options.shuffled}
            run_in(HERE, ["-c", _GENERATE.format(folder=str(one), seed=seed, **facts)])
        for time in ("first time", "again"):
            print(f"{time:<11}", cost_of(run_in(HERE, ["-m", "jobs.cli", *report])))
        files = [path for path in (output / "report").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        first = (output / "report/index.html").stat().st_size / 1e3
        print(f"{'files':<11} {len(files):,}, {size:.1f} MB; index.html {first:.0f} kB")


def cost_of(cost: Cost) -> str:
    """Return the cost of a report in words."""
    return f"{cost.wall_s:.1f} s, {cost.cpu_s:.1f} s of CPU time, {cost.peak_mb:.0f} MB at most"


def generate(output: Path, rows: int, size: int, seed: int = 0, *, shuffled: bool = False) -> None:
    """Write images, and records of rows that name them."""
    rng = np.random.default_rng(seed)
    contents = max(1, rows // STYLES)
    for n in range(min(contents, RESULTS)):
        write_picture(output / f"inputs/photo-{n}.png", size, rng)
    for n in range(STYLES):
        write_picture(output / f"inputs/painting-{n}.png", size, rng)
    for n in range(RESULTS):
        write_picture(output / f"images/{n % 256:02x}/result-{n}.png", size, rng)
    ledger = Ledger.open(Storage.at(str(output)), record_schema(EXTRA))
    order = rng.permutation(rows).tolist() if shuffled else range(rows)
    for first in range(0, rows, PART_ROWS):
        ledger.append([record(output, n, rng, seed) for n in order[first : first + PART_ROWS]])


def write_picture(path: Path, size: int, rng: np.random.Generator) -> None:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def record(output: Path, n: int, rng: np.random.Generator, seed: int) -> dict[str, object]:
    content = f"{output}/inputs/photo-{n // STYLES % RESULTS}.png"
    style = f"{output}/inputs/painting-{n % STYLES}.png"
    prompt = " ".join(WORDS[i] for i in rng.integers(0, len(WORDS), 9))
    row = ManifestRow(f"row-{n:07d}", prompt, content, (style,), Parameters(seed=n), f"{n:032x}")
    failure = Failure("uri_timeout", f"{content}: no answer within 60 s") if n % 97 == 0 else None
    times = rng.gamma(9, (3, 20, 330, 9, 12))
    outcome = Outcome(
        row_id=row.id,
        failure=failure,
        outputs=() if failure else (f"{output}/images/{n % RESULTS:02x}/result-{n % RESULTS}.png",),
        sha256=() if failure else (f"{seed:032x}{n:032x}",),
        width=1024,
        height=1024,
        timings=Timings(
            **dict(zip(("fetch", "condition", "inference", "decode", "store"), times, strict=True))
        ),
        worker=f"worker-{n % 8}",
        device="cuda",
    )
    extra = {"score": round(float(rng.random()), 4), "album": f"album {n % 50}"}
    return make_record(
        Entry(row, extra),
        outcome,
        RunFacts(run_id="20260101T000000-bench", model="generated", preset="exact"),
        attempt=1,
        created_at=BEGAN + timedelta(seconds=n * 0.4 + float(rng.random())),
    )


if __name__ == "__main__":
    main()
