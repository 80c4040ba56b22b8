"""CPU time beside the tools that others use for one part of the work: img2dataset and webdataset.

    python -m venv /tmp/peer && /tmp/peer/bin/pip install img2dataset==1.47.0
    python -m benchmarks.peers fetch --img2dataset /tmp/peer/bin/python    # needs nginx
    python -m benchmarks.peers fetch --threads 1 2 4 8 16 32               # fetch.concurrency
    python -m benchmarks.peers pack                                       # webdataset is installed

`fetch` serves JPEGs from a local nginx. `uso validate --fetch all` fetches, hashes and reads each
of them; img2dataset fetches, decodes and resizes each to 256 pixels. `pack` writes WebDataset
shards of the same images and fields with `uso pack`, which compares each image with its record, and
with a bare `webdataset.ShardWriter`. Each figure is the CPU time of a whole command with all
processes below it, so the start of Python and its imports are in it, and of Ray where it is used.
Python keeps the compiled code of this tree, as an installed package has it. The commands run in
turn.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.process_cpu import ProcessCpu
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome, Timings
from pipelines.storage.storage import Storage
from tests.server_process import free_port
from uso_core.request import Parameters

SIDE, QUALITY = 512, 74  # gives about 60 kB
BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROWS_OF_A_SHARD = 1000
LOOK_S = 0.05
NGINX = """
{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000; types {{ image/jpeg jpg; }}
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
BARE_WRITER = """
import json, sys
from pathlib import Path
import webdataset
folder, rows_of_a_shard = Path(sys.argv[1]), int(sys.argv[2])
(folder / "bare").mkdir()
with webdataset.ShardWriter(str(folder / "bare/%05d.tar"), maxcount=rows_of_a_shard) as sink:
    for line in (folder / "fields.jsonl").open():
        fields = json.loads(line)
        image = Path(fields["outputs"][0]).read_bytes()
        sink.write({"__key__": fields["id"], "jpg": image, "json": fields})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fetch", "pack"])
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--img2dataset", metavar="PYTHON", help="of its environment")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[], help="also with this number of threads"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="uso-peers-") as folder:
        if options.what == "fetch":
            fetch(Path(folder), options)
        else:
            pack(Path(folder), options.images, options.rounds)


def fetch(folder: Path, options: argparse.Namespace) -> None:
    images, peer = options.images, options.img2dataset
    (folder / "www").mkdir()
    for n, data in enumerate(jpegs(images)):
        (folder / f"www/{n}.jpg").write_bytes(data)
    with nginx(folder) as port:
        urls = [f"http://127.0.0.1:{port}/{n}.jpg" for n in range(images)]
        (folder / "urls.txt").write_text("\n".join(urls))
        ids = [str(n) for n in range(images)]
        pq.write_table(pa.table({"id": ids, "content_image": urls}), folder / "m.parquet")
        (folder / "run.yaml").write_text(
            f"manifest: {{path: {folder}/m.parquet}}\noutput: {{path: {folder}/out}}\n"
            "model: {base: tiny}\nfetch: {allow_private_networks: true}\n"
        )
        validate = [sys.executable, "-m", "jobs.cli", "validate", f"{folder}/run.yaml"]
        commands = {
            "uso validate --fetch all": [*validate, "--fetch", "all"],
            "uso validate --fetch all --cluster": [*validate, "--fetch", "all", "--cluster"],
        }
        if peer is not None:
            commands["img2dataset, 256 pixels"] = [
                *(str(Path(peer).with_name("img2dataset")), "--url_list", f"{folder}/urls.txt"),
                *("--output_folder", f"{folder}/made", "--output_format", "files"),
                *("--image_size", "256", "--processes_count", "1", "--thread_count", "16"),
            ]
        for number in options.threads:
            wanted = ["--set", f"fetch.concurrency={number}"]
            commands[f"uso validate --fetch all, {number} threads"] = [
                *commands["uso validate --fetch all"],
                *wanted,
            ]
        compare(commands, images, options.rounds, folder / "made")


def pack(folder: Path, images: int, rounds: int) -> None:
    write_output(folder, images)
    uso = [sys.executable, "-m", "jobs.cli", "pack", f"{folder}/out", "--layout", "webdataset"]
    shards = ["--shard-images", str(ROWS_OF_A_SHARD), "--to", f"{folder}/bare"]
    writer = [sys.executable, "-c", BARE_WRITER, str(folder), str(ROWS_OF_A_SHARD)]
    commands = {
        "uso pack": [*uso, *shards],
        "uso pack --ray local": [*uso, *shards, "--ray", "local"],
        "a bare ShardWriter": writer,
    }
    compare(commands, images, rounds, folder / "bare")


def compare(commands: dict[str, list[str]], images: int, rounds: int, makes: Path) -> None:
    """Run the commands in turn, and print the images per second of CPU and of the clock.

    A first round, in which Python compiles and the disk's cache fills, does not count.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(1 + rounds):
        for name, command in commands.items():
            subprocess.run(["rm", "-rf", str(makes)], check=True)
            found[name].append(taken(command))
    for name, times in found.items():
        cpu, wall = (statistics.median(one) for one in zip(*times[1:], strict=True))
        figures = {"images_per_s": images / wall, "cpu_s": cpu, "images_per_cpu_s": images / cpu}
        rounded = {key: round(value, 1) for key, value in figures.items()}
        print(json.dumps({"command": name, **rounded}))


def taken(command: Sequence[str]) -> tuple[float, float]:
    """Return the CPU seconds of a command with all processes below it, and its seconds."""
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as said:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        below = ProcessCpu(process.pid)
        uses_ray = not {"--cluster", "--ray"}.isdisjoint(command)
        while uses_ray and process.poll() is None:
            below.look()
            time.sleep(LOOK_S)
        process.wait()
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
        said.seek(0)
        if process.returncode:
            text = said.read().decode(errors="replace")
            raise SystemExit(f"{command}: exit code {process.returncode}\n{text}")
    if uses_ray:
        return sum(below.by_kind.values()), wall
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def jpegs(count: int) -> Iterator[bytes]:
    """Yield different JPEGs of about 60 kB: soft shapes with the grain of a photograph."""
    rng = np.random.default_rng(0)
    bases = [photograph(rng) for _ in range(20)]
    for n in range(count):
        image = bases[n % len(bases)].copy()
        image.paste((n % 256, n // 256 % 256, 200), (0, 0, 16, 16))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=QUALITY)
        yield stream.getvalue()


def photograph(rng: np.random.Generator) -> Image.Image:
    shapes = Image.fromarray(rng.integers(0, 256, (SIDE // 16, SIDE // 16, 3), np.uint8))
    soft = np.asarray(shapes.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
    grain = rng.normal(0, 9, (SIDE, SIDE, 1))
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Serve the folder `www` on 127.0.0.1, and yield the port."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""  # who may read the folder
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=user))
    with subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"]) as server:
        try:
            time.sleep(1)
            yield port
        finally:
            server.terminate()


def write_output(folder: Path, images: int) -> None:
    """Write an output with images and records, and the same fields for the bare writer."""
    ledger = Ledger.open(Storage.at(str(folder / "out")), record_schema(pa.schema([])))
    records = [record(folder / "out", n, data) for n, data in enumerate(jpegs(images))]
    ledger.append(records)
    with (folder / "fields.jsonl").open("w") as lines:
        for one in records:
            lines.write(json.dumps(one, default=str) + "\n")


def record(output: Path, n: int, data: bytes) -> dict[str, Any]:
    path = output / f"images/{n % 256:02x}/{n}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    row = ManifestRow(
        f"row-{n:06}", f"a photograph, {n}", None, (), Parameters(seed=n), f"{n:032x}"
    )
    outcome = Outcome(
        row_id=row.id,
        outputs=(str(path),),
        sha256=(hashlib.sha256(data).hexdigest(),),
        image_bytes=(len(data),),
        width=SIDE,
        height=SIDE,
        timings=Timings(inference=100.0),
        worker="worker-0",
        device="cuda",
    )
    facts = RunFacts(run_id="20260101T000000-bench", model="generated", preset="exact")
    return make_record(Entry(row), outcome, facts, attempt=1, created_at=BEGAN)


if __name__ == "__main__":
    main()
