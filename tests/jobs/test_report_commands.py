"""The commands on a report's page name the configuration of the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.report_commands import report_commands
from pipelines.storage.storage import Storage
from pipelines.tools.report.commands import ANYWHERE, Commands
from tests.pipelines.tools.report.outputs import boot

CONFIG = """
manifest: {path: rows.jsonl}
output: {path: out}
model: {base: tiny}
ray: {address: none}
stylize: {gpus_per_actor: 0}
defaults: {width: 16, height: 16, num_steps: 1}
"""
UNKNOWN = Commands()
RUN_ID = "20260101T000000-abcdef-1"


@pytest.mark.timeout(180)  # a whole run
def test_a_run_notes_its_file_and_the_report_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("rows.jsonl").write_text('{"prompt": "a"}\n')
    Path("run.yaml").write_text(CONFIG)
    result = CliRunner().invoke(app, ["run", "run.yaml", "--set", "defaults.seed=5"])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app, ["report", "out", "--thumbnails", "none"]).exit_code == 0
    found = boot(Storage.at(f"{folder}/out/report"))["commands"]
    assert found == {
        "config": f"'{tmp_path}/it'\"'\"'s here/run.yaml'",
        "pack_options": "",
        "notes": [
            f"Give them in {folder}, with the saved file: "
            "paths in manifest.path, output.path start there.",
            "The run replaced defaults.seed by --set: add these options.",
        ],
    }


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    (tmp_path / "run.yaml").write_text(
        CONFIG.replace("rows.jsonl", f"{tmp_path}/rows.jsonl").replace("out}", f"{tmp_path}/out}}")
    )
    noted(tmp_path)
    return Storage.at(f"{tmp_path}/out")


def noted(folder: Path, **changed: Any) -> None:
    """Write a run file."""
    source = {"path": f"{folder}/run.yaml", "folder": str(folder), "overrides": [], **changed}
    written(folder, json.dumps({"host": "node-7", "config_file": source}))


def written(folder: Path, text: str) -> None:
    path = folder / f"out/run/{RUN_ID}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_absolute_paths_need_no_folder(output: Storage, tmp_path: Path) -> None:
    assert report_commands(output, None) == Commands(f"{tmp_path}/run.yaml", "", (ANYWHERE,))


def test_the_given_file_comes_first_and_reaches_the_output(output: Storage, tmp_path: Path) -> None:
    given = tmp_path / "mine.yaml"
    shutil.copy(tmp_path / "run.yaml", given)
    found = report_commands(output, given)
    assert (found.config, found.pack_options) == (str(given), f"--config {given}")
    given.write_text((tmp_path / "run.yaml").read_text().replace("/out}", "/other}"))
    found = report_commands(output, given)
    assert (found.config, found.pack_options) == (f"{tmp_path}/run.yaml", f"--config {given}")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"config_file": null}', '{"config_file": {"path": 1}}', "{cut"]
)
def test_a_run_file_without_it_leaves_a_placeholder(
    output: Storage, tmp_path: Path, text: str
) -> None:
    written(tmp_path, text)
    assert report_commands(output, None) == UNKNOWN


def test_an_output_without_a_run_file_leaves_a_placeholder(tmp_path: Path) -> None:
    assert report_commands(Storage.at(str(tmp_path)), None) == UNKNOWN


def test_a_file_that_is_gone_or_of_another_output_is_told(output: Storage, tmp_path: Path) -> None:
    told = f"CONFIG is the YAML file of the run; on node-7 it was {tmp_path}/run.yaml."
    path = tmp_path / "run.yaml"
    path.write_text(path.read_text().replace("/out}", "/other}"))
    assert report_commands(output, None) == Commands(notes=(ANYWHERE, told))
    noted(tmp_path, overrides=["output.path"])
    assert report_commands(output, None).config == str(path)
    path.write_text("manifest: {")
    assert report_commands(output, None) == Commands(notes=(ANYWHERE, told))
    path.unlink()
    assert report_commands(output, None) == Commands(notes=(ANYWHERE, told))


def test_a_file_in_a_store_is_downloaded_first(output: Storage, tmp_path: Path) -> None:
    noted(tmp_path, path="s3://bucket/out/stylize/run.yaml")
    assert report_commands(output, None).notes == (
        ANYWHERE,
        "CONFIG is the YAML file of the run: download s3://bucket/out/stylize/run.yaml.",
    )
