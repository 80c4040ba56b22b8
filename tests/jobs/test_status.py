from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.failures import Failure
from pipelines.image_values import record_column
from pipelines.ledger.lease import LEASE_PATH, Heartbeat, Lease
from pipelines.ledger.ledger import Ledger
from pipelines.record import NSFW_CONTENTS, NSFW_SCORE, RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome
from pipelines.storage.storage import Storage
from uso_core.request import Parameters

FACTS = RunFacts(run_id="r1", model="tiny:0", preset="exact")


def record(row_id: str, failure: Failure | None = None) -> dict[str, object]:
    row = ManifestRow(row_id, "p", None, (), Parameters(), "0" * 32)
    images = {} if failure else {"outputs": (f"/out/{row_id}.png",), "width": 64, "height": 48}
    outcome = Outcome(row_id=row_id, failure=failure, **images)  # type: ignore[arg-type]
    at = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return make_record(Entry(row), outcome, FACTS, attempt=1, created_at=at)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    storage = Storage.at(str(tmp_path))
    ledger = Ledger.open(storage, record_schema(pa.schema([])))
    missing = Failure("uri_not_found", "nothing at \x1b[31m there")
    ledger.append([record("a"), record("b"), record("c", missing)])
    ledger.append([record("d", Failure("image_corrupt", "cut short"))])
    for run_id, state in (("20260102T000000-1", "failed"), ("20260103T000000-1", "completed")):
        document = {"run_id": run_id, "state": state, "reason": "", "updated_at": "today"}
        storage.write(f"run/{run_id}.json", json.dumps(document).encode())
    return tmp_path


def status(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments])


def test_counts_failures_and_the_last_run(output: Path) -> None:
    result = status(str(output))
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "recorded 4 rows" in lines
    assert "completed 2" in lines
    assert "failed 2 (50.00%)" in lines
    assert "last run 20260103T000000-1: completed at today" in lines
    assert {r"uri_not_found 1 c: nothing at \x1b[31m there"} <= set(lines)
    assert "\x1b" not in result.stdout


def test_it_works_during_a_run(output: Path) -> None:
    with Lease(Storage.at(str(output)), "20260103T000000-1"):
        assert (output / LEASE_PATH).exists()
        assert "20260103T000000-1: completed at today" in status(str(output)).stdout


def running(output: Path, run_id: str = "20260104T000000-1") -> Storage:
    storage = Storage.at(str(output))
    document = {"run_id": run_id, "state": "running", "reason": "", "updated_at": "today"}
    storage.write(f"run/{run_id}.json", json.dumps(document).encode())
    return storage


def last_run_line(output: Path) -> str:
    (line,) = (line for line in status(str(output)).stdout.splitlines() if "last run" in line)
    return line


def test_a_live_driver_is_running(output: Path) -> None:
    with Lease(running(output), "20260104T000000-1"):
        assert last_run_line(output).endswith("20260104T000000-1: running at today")
        document = json.loads(status(str(output), "--json").stdout)["last_run"]
    assert (document["state"], document["driver"]) == ("running", "alive")
    assert datetime.fromisoformat(document["heartbeat_at"]).tzinfo is not None


@pytest.mark.parametrize("lease", ["of a dead process", "another run's", "gone"])
def test_a_killed_driver_is_not_running(output: Path, lease: str) -> None:
    storage = running(output)
    if lease != "gone":
        run_id = "20260104T000000-1" if lease == "of a dead process" else "20260105T000000-1"
        child = f"""
import os
from pipelines.ledger.lease import Lease
from pipelines.storage.storage import Storage
Lease(Storage.at({str(output)!r}), {run_id!r}).__enter__()
os._exit(9)
"""
        assert subprocess.run([sys.executable, "-c", child], check=False).returncode == 9
        assert storage.exists(LEASE_PATH)
    assert "20260104T000000-1: killed at today: its driver has ended" in last_run_line(output)
    document = json.loads(status(str(output), "--json").stdout)["last_run"]
    assert (document["state"], document["driver"]) == ("killed", "dead")


@pytest.mark.parametrize(("age_s", "silent"), [(30, False), (3600, True)])
def test_a_driver_elsewhere_is_silent_after_a_minute(
    output: Path, age_s: float, silent: bool
) -> None:
    storage = running(output)
    at = datetime.now(timezone.utc) - timedelta(seconds=age_s)
    beat = Heartbeat("20260104T000000-1", "node-7", "another boot", 7, 0.0)
    storage.write(LEASE_PATH, json.dumps(asdict(beat) | {"at": at.isoformat()}).encode())
    assert ("no heartbeat since" in last_run_line(output)) == silent
    document = json.loads(status(str(output), "--json").stdout)["last_run"]
    assert document["driver"] == ("silent" if silent else "alive")
    assert document["state"] == "running"


def test_a_lease_without_a_time_tells_nothing(output: Path) -> None:
    beat = Heartbeat("20260104T000000-1", "node-7", "another boot", 7, 0.0)
    running(output).write(LEASE_PATH, json.dumps(asdict(beat)).encode())
    assert last_run_line(output).endswith("running at today")


def test_flagged_images_are_counted(output: Path) -> None:
    assert "flagged  " not in status(str(output)).stdout
    score = record_column(pa.field(NSFW_SCORE, pa.float64()))
    schema = record_schema(pa.schema([]), pa.schema([score]))
    checked = [
        {**record(name), NSFW_CONTENTS: [flag], NSFW_SCORE: [0.5]}
        for name, flag in (("e", True), ("f", False))
    ]
    withheld = record("g", Failure("unsafe_content", "withheld"))
    flags = {NSFW_CONTENTS: [False, True], NSFW_SCORE: [0.1, 0.3]}
    Ledger.open(Storage.at(str(output)), schema).append([*checked, {**withheld, **flags}])
    lines = [" ".join(line.split()) for line in status(str(output)).stdout.splitlines()]
    assert "flagged 2 of 4 images that the safety check has seen" in lines
    document = json.loads(status(str(output), "--json").stdout)
    assert (document["flagged"], document["checked"]) == (2, 4)


def test_json_has_the_same_counts(output: Path) -> None:
    document = json.loads(status(str(output), "--json").stdout)
    assert (document["completed"], document["failed"]) == (2, 2)
    assert document["failed_by_code"] == {"uri_not_found": 1, "image_corrupt": 1}
    assert document["examples"]["image_corrupt"] == {"id": "d", "message": "cut short"}
    assert document["last_run"]["state"] == "completed"


@pytest.mark.parametrize("most", [2, 10])
def test_at_most_the_given_number_of_records_is_shown(output: Path, most: int) -> None:
    table = status(str(output), "--rows", str(most)).stdout.partition("Records")[2]
    rows = [line.split() for line in table.splitlines() if line.split()[1:2] != ["status"]]
    shown = [row for row in rows if "completed" in row or "failed" in row]
    assert len(shown) == min(most, 4)
    assert {row[0] for row in shown} <= set("abcd")


def test_a_record_is_shown_with_its_image_or_its_failure(output: Path) -> None:
    table = status(str(output), "--rows", "10").stdout.partition("Records")[2]
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.split()}
    assert rows["a"] == ["completed", "64x48", "1", "/out/a.png"]
    assert rows["d"] == ["failed", "image_corrupt:", "cut", "short"]


def test_a_long_id_leaves_room_for_status_and_image(tmp_path: Path) -> None:
    ledger = Ledger.open(Storage.at(str(tmp_path)), record_schema(pa.schema([])))
    ledger.append([record("album/" * 40), record("b", Failure("image_corrupt", "cut short"))])
    table = status(str(tmp_path), "--rows", "10").stdout.partition("Records")[2]
    assert re.search(r"^ +album/album\S*… +completed +64x48 +1 +/out/album/album", table, re.M)
    assert re.search(r"^ +b +failed +image_corrupt: cut short", table, re.M)


def test_an_empty_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = status("nothing")
    assert result.exit_code == 2
    assert f"{tmp_path}/nothing: no records and no runs" in result.stderr


def test_an_unknown_protocol_is_an_error() -> None:
    result = status("nonsense://bucket/out")
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


def test_a_run_without_records_yet(tmp_path: Path) -> None:
    document = {"run_id": "r", "state": "running", "reason": "", "updated_at": "now"}
    Storage.at(str(tmp_path)).write("run/r.json", json.dumps(document).encode())
    with Lease(Storage.at(str(tmp_path)), "r"):
        result = status(str(tmp_path), "--rows", "5")
    assert result.exit_code == 0
    assert "r: running at now" in result.stdout


def test_storage_options_come_from_a_configuration(tmp_path: Path, output: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "manifest: {path: m.parquet}\noutput: {path: o}\nstorage: {s3: {key: '${NOT_SET}'}}\n"
    )
    result = status(str(output), "--config", str(config))
    assert result.exit_code == 2
    assert "NOT_SET" in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("fetch: {max_mb: 3}", r"fetch: .*\n.*reads only its section `storage`\.$"),
        ("storage: {anon: true}", r"storage\.anon: .*\n.*the section `storage` alone"),
        ("manifest: {path: m.parquet}", r"^error: \S+run\.yaml: output: is missing[^\n]*$"),
        ("storage: [", r"^error: [^\n]*run\.yaml[^`]*$"),
    ],
)
def test_a_configuration_without_stores_is_named(
    tmp_path: Path, output: Path, content: str, message: str
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(content)
    result = status(str(output), "--config", str(config))
    assert result.exit_code == 2
    assert re.search(message, result.stderr.strip()), result.stderr
    assert "manifest: is missing" not in result.stderr


def test_a_damaged_run_file_does_not_hide_the_counts(output: Path) -> None:
    (output / "run" / "20260104T000000-1.json").write_text('{"run_id": ')
    result = status(str(output))
    assert result.exit_code == 0
    assert "run file is damaged" in result.stdout
    assert "recorded   4 rows" in result.stdout
