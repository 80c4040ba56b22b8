"""Mistakes in the call of `uso run`. Whole runs, and those with Ray, are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app

CONFIG = """
manifest: {path: FOLDER/rows.jsonl}
output: {path: FOLDER/out}
model: {base: tiny}
ray: {address: none}
"""


def run(folder: Path, *arguments: str, config: str = CONFIG) -> Result:
    (folder / "rows.jsonl").write_text('{"prompt": "a"}\n')
    path = folder / "run.yaml"
    path.write_text(config.replace("FOLDER", str(folder)))
    return CliRunner().invoke(app, ["run", str(path), *arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "output.pth=x"], ["output.pth", "path"]),
        (["--set", "stylize.actors=0"], ["stylize.actors"]),
        (["--set", "nonsense"], ["nonsense", "a.b=c"]),
        (["--set", "manifest.path=/no/such/rows.parquet"], ["/no/such/rows.parquet"]),
        (["--set", "manifest.columns.prompt=caption"], ["manifest.columns.prompt", "caption"]),
        (["--set", "model.base=/no/such/model"], ["/no/such/model"]),
        (["--set", "output.path=nonsense://x"], ["nonsense"]),
        (["--set", "storage.s3.key=${NOT_SET_ANYWHERE}"], ["NOT_SET_ANYWHERE"]),
    ],
)
def test_a_mistake_is_reported_on_one_screen(
    tmp_path: Path, arguments: list[str], said: list[str]
) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2, result.output
    assert [words for words in said if words not in result.stderr] == []
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) < 24


def test_a_missing_configuration_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml" in result.stderr


def test_control_characters_in_a_configuration_are_escaped(tmp_path: Path) -> None:
    result = run(tmp_path, "--set", "output.\x1b[2Jx=1")
    assert result.exit_code == 2
    assert "\x1b" not in result.output
    assert r"\x1b[2Jx" in result.stderr


@pytest.mark.parametrize("check", ["--check-images", "--check-images=full"])
def test_the_check_of_images_takes_an_optional_value(tmp_path: Path, check: str) -> None:
    (tmp_path / "out").write_text("a file")
    result = run(tmp_path, check)
    assert result.exit_code == 2, result.output
    said = f"{tmp_path}/out"
    assert said in result.stderr.replace("\n", "")
    before = CliRunner().invoke(app, ["run", check, str(tmp_path / "run.yaml")])
    assert said in before.stderr.replace("\n", "")


def test_another_value_for_the_check_of_images_is_rejected(tmp_path: Path) -> None:
    result = run(tmp_path, "--check-images=fast")
    assert result.exit_code == 2
    assert "'sizes', 'full'" in result.stderr
