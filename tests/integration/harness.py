"""Makes manifests, runs `uso run` in a process of its own, and checks its output."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from pipelines.storage.local_files import is_leftover

ROOT = Path(__file__).parents[2]
PROMPTS = ("", "a cat on a chair", "the sea at night", "an old house")


def write_references(folder: Path, count: int) -> list[str]:
    """Write small images, all different; return their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for n in range(count):
        image = Image.new("RGB", (48 + 16 * (n % 3), 48), (37 * n % 256, 91 * n % 256, 200 - n))
        names.append(f"ref{n}.png")
        image.save(folder / names[-1])
    return names


def manifest_rows(
    count: int, references: Sequence[str], prefix: str = "row"
) -> list[dict[str, Any]]:
    """Return rows that the tiny model generates quickly: every mix of prompt, content and style."""
    rows = []
    for n in range(count):
        content = references[n % len(references)] if n % 2 else None
        styles = [references[(n + 1) % len(references)]] if n % 3 else []
        rows.append(
            {
                "id": f"{prefix}-{n:05d}",
                "prompt": PROMPTS[n % len(PROMPTS)],
                "content_image": content,
                "style_images": styles,
                "width": 32,
                "height": 32,
                "num_steps": 1,
                "content_long_size": 32,
                "bucket": n % 7,
            }
        )
    return rows


MANIFEST_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_images", pa.list_(pa.string())),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("num_steps", pa.int64()),
        ("content_long_size", pa.int64()),
        ("bucket", pa.int64()),
    ]
)


def write_manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA), path, row_group_size=100)
    return path


def run_config(manifest: str, output: str, /, **sections: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration for the tiny model on two small CPU actors."""
    config: dict[str, Any] = {
        "manifest": {"path": manifest},
        "output": {"path": output, "commit_seconds": 0.5},
        "model": {"base": "tiny"},
        "stylize": {"actors": 2, "gpus_per_actor": 0, "cpus_per_actor": 1},
        "ray": {"stop_grace_s": 30},
    }
    for name, section in sections.items():
        config.setdefault(name, {}).update(section)
    return config


def write_config(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def started_uso(
    *arguments: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start `uso …` in its own process group; kill it at the end of the block if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run_uso(
    *arguments: str, env: dict[str, str] | None = None, timeout_s: float = 300
) -> tuple[int, str]:
    """Run `uso …`; return its exit code and output."""
    with started_uso(*arguments, env=env) as process:
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output


def wait_for_parts(
    process: subprocess.Popen[str],
    output: str,
    more_than: int = 0,
    options: dict[str, Any] | None = None,
) -> None:
    """Wait until a running `uso run` has committed more than `more_than` parts."""
    while count_parts(output, options) <= more_than:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


def count_parts(output: str, options: dict[str, Any] | None = None) -> int:
    """Count the parts of the output's ledger."""
    fs, root = fsspec.core.url_to_fs(output, **(options or {}))
    fs.invalidate_cache()
    return len(fs.glob(f"{root}/records/*.parquet"))


def read_records(output: str, options: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return all records as stored in the parts, without deduplication."""
    fs, root = fsspec.core.url_to_fs(output, **(options or {}))
    fs.invalidate_cache()
    records: list[dict[str, Any]] = []
    for part in sorted(fs.glob(f"{root}/records/*.parquet")):
        records += pq.read_table(io.BytesIO(fs.cat_file(part))).to_pylist()
    return records


def check_ledger(
    output: str, ids: Sequence[str], options: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Assert the guarantees: one record per id, and exactly the recorded images, unaltered."""
    records = read_records(output, options)
    counts = Counter(record["id"] for record in records)
    assert {i: n for i, n in counts.items() if n > 1} == {}
    assert set(counts) == set(ids)
    fs, root = fsspec.core.url_to_fs(output, **(options or {}))
    expected: set[str] = set()
    for record in records:
        for uri, digest in zip(record["outputs"] or [], record["sha256"] or [], strict=True):
            path = fs._strip_protocol(uri)
            assert hashlib.sha256(fs.cat_file(path)).hexdigest() == digest, uri
            expected.add(path)
    # A writer that was killed may leave its temporary file.
    images = {path for path in fs.find(f"{root}/images") if not is_leftover(path)}
    assert images == expected
    return {record["id"]: record for record in records}
