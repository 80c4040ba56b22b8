from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from uso_core.loading.source import ModelSource, describe_model


def test_it_writes_a_usable_checkpoint(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["tiny", str(tmp_path / "model"), "--seed", "3"])
    assert result.exit_code == 0
    assert "noise" in result.stdout
    card = describe_model(ModelSource(base=str(tmp_path / "model")))
    assert card.layout == "original"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["tiny", "~/model"]).exit_code == 0
    assert (tmp_path / "home" / "model").is_dir()
    assert not (tmp_path / "~").exists()


def test_its_files_are_as_readable_as_any_new_file(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["tiny", str(tmp_path / "model")]).exit_code == 0
    (tmp_path / "new").touch()
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {(tmp_path / "new").stat().st_mode}


def test_a_folder_with_other_files_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    result = CliRunner().invoke(app, ["tiny", str(tmp_path)])
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
