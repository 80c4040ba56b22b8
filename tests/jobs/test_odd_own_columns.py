"""Commands about an output whose own columns have names of ours, and values that Python lacks."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli import app
from pipelines import run
from tests.pipelines.driver.test_driver import config, write_rows

LARGEST = sys.float_info.max


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd")
    write_rows(
        path,
        ["a", "b"],
        width=[32, 32],
        height=[32, 32],
        num_steps=[1, 1],
        scores=[1.5, None],
        tries=[3, None],
        nsfw_score=["low", None],
        unsigned_sha256=["0" * 64, None],
        far=pa.array([2**62, None], pa.timestamp("ms")),
        raw=pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"x"]).buffers()),
        missing=[LARGEST, LARGEST],
        infinite=[float("inf"), float("nan")],
    )
    settings = config(path, ray={"address": "none"})
    assert run(settings).completed == 2
    text = yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True))
    (path / "c.yaml").write_text(text)
    return path


def call(folder: Path, name: str, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [name, *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize(
    "command",
    [
        ("status", "OUT", "--rows", "2"),
        ("verify", "OUT"),
        ("replay", "OUT", "--sample", "1"),
        ("report", "OUT"),
        ("plan", "CONFIG"),
        ("validate", "CONFIG"),
        ("run", "CONFIG", "--check-images"),
        ("prune", "OUT", "CONFIG"),
        ("pack", "OUT", "--layout", "parquet"),
        ("compare", "OUT", "OUT", "--measure"),
    ],
    ids=lambda command: command[0],
)
def test_commands_take_them_for_the_users(folder: Path, command: tuple[str, ...]) -> None:
    places = {"OUT": f"{folder}/out", "CONFIG": f"{folder}/c.yaml"}
    code, said = call(folder, *(places.get(part, part) for part in command))
    assert code == 0, said


def test_scores_are_not_written_over_a_column_of_that_name(folder: Path) -> None:
    code, said = call(folder, "score", f"{folder}/out", "--scores", "palette")
    assert code == 2
    assert "the manifest's column 'scores'" in said
    assert "manifest.keep_columns" in said
    assert not (folder / "out" / "scores").exists()
