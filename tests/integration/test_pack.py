"""A run that is killed while it packs its output; afterwards, the dataset is complete."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tarfile
import time
from pathlib import Path

import pytest

from tests.integration.harness import (
    check_ledger,
    manifest_rows,
    run_config,
    run_uso,
    started_uso,
    write_config,
    write_manifest,
    write_references,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(200)]

ROWS = 40


def read_shards(dataset: Path) -> dict[str, str]:
    """Return id → hash of the image in the shards; assert that each id occurs once."""
    found: dict[str, str] = {}
    for path in sorted(dataset.glob("data/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                if not member.name.endswith(".json"):
                    continue
                fields = tar.extractfile(member)
                image = tar.extractfile(member.name.replace(".json", ".png"))
                assert fields is not None
                assert image is not None
                row = json.load(fields)
                assert row["id"] not in found
                found[row["id"]] = hashlib.sha256(image.read()).hexdigest()
    return found


def test_killed_while_it_packs(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", 3)
    rows = manifest_rows(ROWS, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = tmp_path / "out"
    settings = run_config(
        str(manifest),
        str(output),
        output={"layout": "webdataset", "shard_images": 5},
        stylize={"actors": 1},
    )
    config = write_config(tmp_path / "run.yaml", settings)
    dataset = output / "webdataset"
    with started_uso("run", str(config)) as process:
        while not list(dataset.glob("data/*.tar")):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    at_kill = read_shards(dataset)  # existing shards are complete

    code, said = run_uso("run", str(config))
    assert code == 0, said
    records = check_ledger(str(output), [row["id"] for row in rows])
    assert read_shards(dataset) == {i: record["sha256"][0] for i, record in records.items()}
    shards = json.loads((dataset / "index.json").read_text())["shards"]
    assert {i: records[i]["sha256"][0] for i in at_kill} == at_kill
    assert f"{ROWS} images of {ROWS} rows in {len(shards)} shards" in said
