"""The current version resumes, counts, packs and redoes an output of version 0.1.0."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.golden_output import FOLDER
from tests.integration.harness import read_records, run_uso, write_config

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
ROWS = 26
NOTHING_DONE = {
    "total": ROWS,
    "completed": 0,
    "failed": 0,
    "skipped": ROWS,
    "changed": 0,
    "lost_images": 0,
    "new_values": 0,
    "left_out": 0,
    "images": 0,
    "flagged": 0,
    "failures": [],
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the folder, and make the paths in its configuration absolute."""
    folder = shutil.copytree(FOLDER, tmp_path / "golden")
    config = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    manifest = [str(folder / name) for name in config["manifest"]["path"]]
    config["manifest"]["path"] = manifest
    config["output"]["path"] = str(folder / config["output"]["path"])
    write_config(folder / "run.yaml", config)
    return folder


def run(copy: Path, *arguments: str) -> tuple[dict[str, Any], set[str]]:
    """Run on a copy; return the counts of the run, and the ids of the rows that it worked on."""
    before = set((copy / "output" / "run").glob("2*.json"))
    code, said = run_uso("run", str(copy / "run.yaml"), *arguments)
    assert code == 0, said
    (new,) = set((copy / "output" / "run").glob("2*.json")) - before
    found = json.loads(new.read_text(encoding="utf-8"))
    records = read_records(str(copy / "output"))
    return found["counts"], {r["id"] for r in records if r["run_id"] == found["run_id"]}


def filled(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns with a value: compaction adds the columns of newer versions, with null."""
    return {name: value for name, value in record.items() if value is not None}


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Read the time and the content of every file."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("on_change", ["redo", "error"])
def test_a_run_resumes_it_with_nothing_to_do(copy: Path, on_change: str) -> None:
    """Leave every file as it is.

    If a run works on `json-weights` alone, the message of that rejected row has new words.
    """
    before = files(copy / "output")
    counts, worked_on = run(copy, "--set", f"output.on_change={on_change}")
    assert worked_on == set()
    assert counts == NOTHING_DONE
    after = files(copy / "output")
    assert {name: after.get(name) for name in before} == before
    assert [name for name in after if name not in before and not name.startswith("run/")] == []


@pytest.mark.slow
def test_a_run_redoes_the_row_that_changed(copy: Path) -> None:
    before, recorded = files(copy / "output"), read_records(str(copy / "output"))
    manifest = copy / "more.jsonl"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("its own size", "another prompt"), encoding="utf-8")
    counts, worked_on = run(copy)
    assert worked_on == {"json"}
    assert counts == NOTHING_DONE | {"completed": 1, "skipped": ROWS - 1, "changed": 1, "images": 1}
    after = files(copy / "output")
    images = [name for name in before if name.startswith("images/")]
    assert [name for name in images if after.get(name) != before[name]] == ["images/02/json.webp"]
    now = read_records(str(copy / "output"))
    assert len(now) == ROWS
    others = [filled(r) for r in now if r["id"] != "json"]
    assert others == [filled(r) for r in recorded if r["id"] != "json"]


def test_status_counts_it(copy: Path) -> None:
    code, said = run_uso("status", str(copy / "output"), "--json")
    assert code == 0, said
    found = json.loads(said)
    assert {name: found[name] for name in EXPECTED["status"]} == EXPECTED["status"]
    assert found["last_run"]["state"] == "completed"


@pytest.mark.slow
def test_its_shards_have_the_same_bytes(copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "packed"
    code, said = run_uso(
        "pack", str(copy / "output"), "--layout", "webdataset", "--to", str(target)
    )
    assert code == 0, said
    found = {
        name: hashlib.sha256((target / name).read_bytes()).hexdigest()
        for name in EXPECTED["webdataset"]
    }
    assert found == EXPECTED["webdataset"]


def test_its_failed_rows_make_the_same_manifest(copy: Path) -> None:
    again = copy / "again.parquet"
    code, said = run_uso("manifest", str(again), "--failed", str(copy / "run.yaml"))
    assert code == 0, said
    rows = pq.read_table(again).to_pylist()
    found = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
    assert found == EXPECTED["failed_again"]
