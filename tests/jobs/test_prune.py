from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.ledger.lease import LEASE_PATH, Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.left_out import ManifestLook
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import generated
from tests.pipelines.tools.report.outputs import EXTRA, commit, failed


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output with four rows; the manifest has two of them, and a new one."""
    storage = Storage.at(str(tmp_path / "out"))
    commit(storage, generated(storage, "a"), generated(storage, "b\n", images=2))
    commit(storage, generated(storage, "c"), failed("d"))
    pq.write_table(pa.table({"id": ["a", "d", "x"], "prompt": ["p"] * 3}), tmp_path / "m.parquet")
    (tmp_path / "run.yaml").write_text(
        f"manifest: {{path: {tmp_path}/m.parquet, limit: 1}}\n"
        f"output: {{path: {tmp_path}/out}}\nmodel: {{base: tiny}}\n"
    )
    return tmp_path / "out"


def uso(command: str, output: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [command, str(output), *options])


def prune(output: Path, *options: str) -> Result:
    return uso("prune", output, str(output.parent / "run.yaml"), *options)


def ids(output: Path) -> list[str]:
    table = pq.read_table(output / "records", columns=["id"])
    return sorted(table["id"].to_pylist())


def test_without_yes_it_lists_what_would_go(output: Path) -> None:
    result = prune(output)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "others 2 records of rows that are not in the manifest, 3 images" in lines
    assert r"b\n completed" in lines
    assert lines[-1] == "Nothing was removed. Run the command with --yes to remove them."
    assert len(ids(output)) == 4
    assert "… and 1 more" in prune(output, "--rows", "1").stdout
    assert not (output / LEASE_PATH).exists()


def test_with_yes_it_removes_them(output: Path) -> None:
    result = prune(output, "--yes")
    assert result.exit_code == 0, result.output
    assert "Removed them." in result.stdout
    assert ids(output) == ["a", "d"]
    assert [path.name for path in output.glob("images/*/*")] == ["a.png"]
    assert "There is nothing to remove." in prune(output, "--yes").stdout


def test_json_has_all_ids(output: Path) -> None:
    document = json.loads(prune(output, "--json", "--rows", "1").stdout)
    assert sorted(document.pop("ids")) == ["b\n", "c"]
    assert document == {
        "output": str(output),
        "manifest_rows": 3,
        "records": 4,
        "other_records": 2,
        "other_images": 3,
        "removed": False,
    }


def test_a_run_that_uses_the_output_is_left_alone(output: Path) -> None:
    with Lease(Storage.at(str(output)), "20260103T000000-1", heartbeat_s=0.1):
        assert prune(output).exit_code == 0
        result = prune(output, "--yes")
    assert result.exit_code == 2
    assert "another run uses this output: run 20260103T000000-1" in result.stderr
    assert len(ids(output)) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "output.path=/elsewhere"), "is of another output, /elsewhere"),
        (("--set", "manifest.partial=true"), "only some rows of the output"),
        (("--set", "manifest.path=/no/such.parquet"), "does not exist"),
    ],
)
def test_a_wrong_configuration_removes_nothing(
    output: Path, options: tuple[str, ...], message: str
) -> None:
    result = prune(output, "--yes", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(ids(output)) == 4


def test_an_output_without_records_is_an_error_and_nothing_is_made(output: Path) -> None:
    nothing = output.parent / "nothing"
    result = prune(nothing, "--yes", "--set", f"output.path={nothing}")
    assert result.exit_code == 2
    assert "no records; check the path" in result.stderr
    assert not nothing.exists()


def test_other_commands_leave_them_out_and_say_so(output: Path) -> None:
    storage = Storage.at(str(output))
    ledger = Ledger.open(storage, record_schema(EXTRA))
    ledger.lookup(["a", "d"])
    ledger.leave_out(ManifestLook("m.parquet", "r", "2026-01-02"), whole=True)
    said = "2 records of rows that are no longer in the manifest (m.parquet, read at 2026-01-02)"
    status = uso("status", output, "--rows", "9")
    assert said in status.stdout
    assert "recorded   2 rows" in status.stdout
    assert "c.png" not in status.stdout
    assert json.loads(uso("status", output, "--json").stdout)["left_out"] == {
        "records": 2,
        "manifest": "m.parquet",
        "run_id": "r",
        "read_at": "2026-01-02",
    }
    report = uso("report", output, "--thumbnails", "none")
    assert said in report.stdout
    assert "rows     2 " in report.stdout
    assert "no longer in the manifest" in (output / "report/index.html").read_text()
    packed = uso("pack", output, "--layout", "parquet")
    assert said in packed.stdout
    assert "1 images of 1 rows" in packed.stdout
    assert "c" not in pq.read_table(output / "parquet/data")["id"].to_pylist()
    assert "| failed" not in packed.stdout
