from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.config.schema import load_config


def init(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["init", *map(str, arguments)])


@pytest.mark.parametrize(
    ("machine", "actors", "gpus"), [("laptop", 2, 0), ("gpu", 1, 1), ("cluster", 64, 1)]
)
@pytest.mark.parametrize("manifest", ["m.parquet", "s3://b/m #1/*.csv", "it's.csv", "on", "\u732b"])
def test_it_writes_a_commented_configuration_that_is_valid(
    tmp_path: Path, machine: str, actors: int, gpus: int, manifest: str
) -> None:
    file = tmp_path / "new" / "run.yaml"
    result = init(file, "--for", machine, "--manifest", manifest, "--output", "out/my run")
    assert result.exit_code == 0, result.output
    config = load_config(file)
    assert (config.manifest.path, config.output.path) == (manifest, "out/my run")
    assert (config.stylize.max_actors, config.stylize.gpus_per_actor) == (actors, gpus)
    text = file.read_text(encoding="utf-8")
    assert text.count("#") > 10
    assert f"uso validate {file} --fetch all" in text
    assert "broken on purpose" not in text
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "CHANGE" in line]
    assert bool(marked) == (machine == "cluster")
    assert all(str(number) in result.stdout for number in marked)


def test_a_file_that_is_there_stays_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("mine")
    refused = init(file, "--for", "laptop")
    assert (refused.exit_code, file.read_text()) == (2, "mine")
    assert "already exists; use --force" in refused.stderr
    forced = init(file, "--for", "laptop", "--force", "--json")
    assert json.loads(forced.stdout) == {"path": str(file), "for": "laptop", "lines_to_change": []}
    assert yaml.safe_load(file.read_text())["manifest"] == {"path": "manifest.parquet"}


def test_without_a_terminal_it_asks_nothing(tmp_path: Path) -> None:
    result = init(tmp_path / "run.yaml")
    assert result.exit_code == 2
    assert "give laptop, gpu or cluster" in result.stderr
    assert not (tmp_path / "run.yaml").exists()
