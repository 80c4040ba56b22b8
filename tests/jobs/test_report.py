from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.storage.storage import Storage
from tests.pipelines.tools.report.outputs import commit, data_file, failed, generated


@pytest.fixture
def output(tmp_path: Path) -> Path:
    storage = Storage.at(str(tmp_path / "run"))
    commit(storage, generated(storage, "a", styles=[str(tmp_path / "gone.png")]), failed("b"))
    return tmp_path / "run"


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_page_goes_into_the_output_by_default(output: Path) -> None:
    result = report(output)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert f"wrote {output}/report/index.html" in lines
    assert any(line.startswith("rows 2 in ") for line in lines)
    assert (
        "missing 1 thumbnails, of unreadable files or inline images; the page gives the reasons"
        in lines
    )
    assert (output / "report/index.html").is_file()


def test_the_page_goes_to_another_folder(output: Path, tmp_path: Path) -> None:
    result = report(output, "--out", tmp_path / "site", "--against", output, "--thumbnails", "none")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "Compared, row by row" in page
    assert not (tmp_path / "site/thumbs").exists()
    assert not (output / "report").exists()


@pytest.mark.parametrize("thumbnails", ["-1", "some", "1.5", "\u0663"])
def test_a_wrong_number_of_thumbnails_is_an_error(output: Path, thumbnails: str) -> None:
    result = report(output, f"--thumbnails={thumbnails}")
    assert result.exit_code == 2
    assert "give a number of rows, all or none" in result.stderr


def test_an_output_without_records_is_an_error(tmp_path: Path) -> None:
    result = report(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "no records" in result.stderr


def test_the_fetch_policy_of_a_configuration_applies(output: Path, tmp_path: Path) -> None:
    (tmp_path / "gone.png").write_bytes(b"not asked for")
    config = tmp_path / "run.yaml"
    config.write_text(
        "manifest: {path: m.parquet}\noutput: {path: o}\nfetch: {allow_local_files: false}\n"
    )
    assert report(output, "--config", config).exit_code == 0
    texts = data_file(Storage.at(str(output / "report")), "texts-0")
    assert "uri_refused" in texts["refs"][0]["why"]


def test_the_facts_as_json(output: Path) -> None:
    result = report(output, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["index_uri"] == f"{output}/report/index.html"
    assert (facts["rows"], facts["left_out"]) == (len(pq.read_table(output / "records")), 0)
