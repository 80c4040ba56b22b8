"""`uso replay`: verdicts, exit codes and wrong arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from jobs.cli import app
from tests.pipelines.pictures import picture
from tests.pipelines.replay.outputs import drawn, settings

PLAIN = {"prompt": "a", "width": 32, "height": 32, "num_steps": 1}
STYLED = {**PLAIN, "style_images": ["ref1.png"]}


def replay(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["replay", str(folder / "out"), *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    drawn(folder, [PLAIN, STYLED, {**PLAIN, "style_images": ["gone.png"]}])
    (folder / "run.yaml").write_text(yaml.safe_dump(settings(folder)))
    return folder


def test_an_equal_output_has_exit_code_0(folder: Path) -> None:
    done = replay(folder, "--config", str(folder / "run.yaml"))
    assert done.exit_code == 0, done.output
    assert "drawn      2 rows again; 1 failed rows left out" in done.stdout
    assert "2 byte-equal" in done.stdout


def test_a_different_row_has_exit_code_4_and_its_reason(folder: Path) -> None:
    done = replay(folder, "r0", "--set", "model.base=tiny:1")
    assert done.exit_code == 4, done.output
    text = " ".join(done.stdout.split())
    assert "1 different" in text
    assert "model: tiny:1 (" in text
    assert "model (model), for 1 row " in text
    picture(40, 32, seed=77).save(folder / "ref1.png")
    done = replay(folder, "--sample", "9", "--json")
    assert done.exit_code == 4
    found = json.loads(done.stdout)
    assert (found["rows"], found["equal"], found["different"], found["left_out"]) == (2, 1, 1, 1)
    (different,) = [each for each in found["verdicts"] if each["result"] == "different"]
    assert different["id"] == "r1"
    assert different["differences"][0]["name"] == "style_images[0]"
    assert found["differences"][0] == {
        "kind": "reference_changed",
        "name": "style_images[0]",
        "rows": 1,
    }


def test_a_change_that_made_no_difference_is_shown_with_both_values(folder: Path) -> None:
    done = replay(folder, "r0", "--set", "fetch.exif_rotate=false")
    assert done.exit_code == 0, done.output
    assert "byte-equal fetch.exif_rotate: False now, True then" in " ".join(done.stdout.split())


def test_a_wrong_override_is_not_called_a_fault_of_the_run_file(folder: Path) -> None:
    done = replay(folder, "r0", "--set", "model.preset=fp9")
    text = " ".join(done.output.split())
    assert (done.exit_code, "model.preset (from --set): 'fp9' is not accepted" in text) == (2, True)
    assert "does not accept" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["r7"], "no record has the id 'r7'"),
        (["r2"], "no completed row to draw again; 1 have failed"),
        (["r0", "--sample", "1"], "goes without ids"),
        (["--set", "model.presett=draft"], "model.presett"),
        (["--set", "model.base=nowhere/at-all"], "nowhere/at-all"),
    ],
)
def test_wrong_arguments_have_exit_code_2(folder: Path, arguments: list[str], said: str) -> None:
    done = replay(folder, *arguments)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())


def test_a_folder_without_records_has_exit_code_2(tmp_path: Path) -> None:
    done = replay(tmp_path)
    assert (done.exit_code, "no records; check the path" in done.output) == (2, True)
