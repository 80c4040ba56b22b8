"""`uso verify`: the output of a real run, its problems and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from jobs.cli import app
from tests.pipelines.driver.test_driver import config
from tests.pipelines.driver.test_scores import run, write_styled


def verify(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(folder / "out"), *arguments])


def test_the_output_of_a_run_is_whole_until_a_byte_changes(tmp_path: Path) -> None:
    write_styled(tmp_path, "ab", "a")
    records, _, _ = run(config(tmp_path))
    done = verify(tmp_path)
    assert done.exit_code == 0, done.output
    assert "records    2, 2 of them completed, in 1 files" in done.stdout
    assert "Nothing is wrong." in done.stdout
    image = Path(records["b"]["outputs"][0])
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    done = verify(tmp_path, "--json", "--problems", str(tmp_path / "p.parquet"))
    assert done.exit_code == 4
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["kind"], problem["examples"]) == ("image_changed", ["b"])
    (row,) = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert (row["row_id"], row["uri"]) == ("b", str(image))
    text = verify(tmp_path).stdout
    assert "1 problem" in text


def test_a_folder_without_records_is_wrong_input(tmp_path: Path) -> None:
    done = verify(tmp_path)
    assert (done.exit_code, "no records; check the path" in done.output) == (2, True)
