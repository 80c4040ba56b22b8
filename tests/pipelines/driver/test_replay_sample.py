"""`on_end.replay_sample`: rows of a run that its own workers draw again at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.summary import exit_code
from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.driver.summary import RunSummary
from pipelines.errors import ConfigError
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.replay.outputs import inline, settings, worker, write_inputs

PLAIN: dict[str, Any] = {"prompt": "a", "width": 32, "height": 32, "num_steps": 1}
ROWS = [
    PLAIN,
    {**PLAIN, "num_images": 2, "style_images": ["ref1.png", inline(2)]},
    {**PLAIN, "content_image": "ref0.png", "keep_size": True},
    {**PLAIN, "content_image": "gone.png"},
]


class Wavering(Stylizer):
    """Draws a row with another seed than it is given, the second time."""

    def __init__(self, spec: StylizerSpec, inner: Stylizer) -> None:
        self._inner = inner
        self._seen: set[str] = set()
        self.__dict__.update({k: v for k, v in inner.__dict__.items() if k not in self.__dict__})

    def stylize(self, row: ManifestRow) -> Outcome:
        if row.id in self._seen:
            object.__setattr__(row.parameters, "seed", row.parameters.seed + 1)
        self._seen.add(row.id)
        return super().stylize(row)


def wavering(spec: StylizerSpec) -> Stylizer:
    return Wavering(spec, worker(spec))


def done(folder: Path, make: Any = worker, **sections: Any) -> RunSummary:
    write_inputs(folder, ROWS)
    config = RunConfig.model_validate(settings(folder, **sections))
    return run(config, show_progress=False, make_worker=make)


def files(folder: Path) -> set[str]:
    found = (folder / "out").rglob("*")
    return {str(path.relative_to(folder / "out")) for path in found if path.is_file()}


def test_a_sample_is_drawn_again_and_leaves_no_file(tmp_path: Path) -> None:
    summary = done(tmp_path, on_end={"replay_sample": 9})
    assert summary.replay is not None
    assert (summary.replay["rows"], summary.replay["equal"]) == (3, 3)
    assert summary.replay["differences"] == []
    assert exit_code(summary) == 0
    (path,) = (tmp_path / "out" / "run").glob("2*.json")
    assert json.loads(path.read_text())["replay"]["equal"] == 3
    assert not (tmp_path / "out" / "replay").exists()
    assert len([each for each in files(tmp_path) if each.startswith("images/")]) == 4
    said = CliRunner().invoke(app, ["status", str(tmp_path / "out")]).stdout
    assert "replayed   3 rows again: 3 byte-equal" in said


def test_rows_of_an_earlier_run_are_not_drawn_again(tmp_path: Path) -> None:
    assert done(tmp_path).replay is None
    assert done(tmp_path, on_end={"replay_sample": 9}).replay is None


def test_a_different_row_has_its_exit_code_and_stays_recorded(tmp_path: Path) -> None:
    summary = done(tmp_path, wavering, on_end={"replay_sample": 2})
    assert summary.replay is not None
    assert (summary.replay["rows"], summary.replay["different"]) == (2, 2)
    assert exit_code(summary) == 4
    assert summary.completed == 3
    verified = CliRunner().invoke(app, ["verify", str(tmp_path / "out")])
    assert verified.exit_code == 0, verified.output


def test_the_failure_budget_comes_first(tmp_path: Path) -> None:
    budget = {"max_failed_fraction": 0}
    summary = done(tmp_path, wavering, on_end={"replay_sample": 2}, on_error=budget)
    assert exit_code(summary) == 3


def test_a_server_draws_no_sample(tmp_path: Path) -> None:
    write_inputs(tmp_path, ROWS)
    config = RunConfig.model_validate(settings(tmp_path, on_end={"replay_sample": 2}))
    with pytest.raises(ConfigError, match="needs actors of the run's own"):
        run(config, through="http://127.0.0.1:9")
