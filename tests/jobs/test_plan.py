from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.calibration.measurements import Machine, Settings, ShapeTime, save_calibration
from pipelines.calibration.shapes import Shape
from pipelines.config.model import ModelConfig
from pipelines.storage.storage import Storage
from uso_core.loading.dimensions import dimensions_of
from uso_core.loading.source import ModelSource


def plan(folder: Path, *arguments: object) -> str:
    table = pa.table({"prompt": ["a", "b", "b"], "width": [64, 64, 7], "height": [64, 32, 64]})
    pq.write_table(table, folder / "m.parquet")
    config = folder / "run.yaml"
    config.write_text(
        f"manifest: {{path: {folder}/m.parquet}}\noutput: {{path: {folder}/out}}\n"
        "model: {base: tiny}\nstylize: {actors: 2, gpus_per_actor: 0}\n"
    )
    result = CliRunner().invoke(app, ["plan", str(config), *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_rows_and_references_are_counted(tmp_path: Path) -> None:
    text = plan(tmp_path)
    assert "generate 2 rows, 2 images" in text
    assert "recorded 0 rows" in text
    assert "rejected 1 rows are invalid" in text
    assert "different 0 content images, 0 styles, 2 prompts" in text
    assert "unknown until a first run has measured this CPU" in text
    assert not (tmp_path / "out").exists()


def test_an_unmeasured_preset_is_estimated(tmp_path: Path) -> None:
    text = plan(tmp_path, "--set", "stylize.gpus_per_actor=1", "--set", "model.preset=fp8+cache")
    assert "50% of 790 TFLOP/s, of 1450 in the float8 layers" in text
    assert "unknown for fp8+cache until a first run has measured it; estimated as fp8" in text


def test_measured_seconds(tmp_path: Path) -> None:
    model = dimensions_of(ModelSource(base="tiny"))
    machine = Machine(
        settings=Settings.of(model, ModelConfig()),
        device="cpu",
        updated_at="2026-01-01T00:00:00+00:00",
        startup_s=10,
        busy=0.5,
        shapes=(ShapeTime(Shape(64, 64, 0, 0, 25, 1), 9, 3600),),
    )
    save_calibration(Storage.at(f"{tmp_path}/out"), [machine])
    text = plan(tmp_path, "--limit", 1, "--price-per-gpu-hour", 2)
    assert "measured on cpu: 9 rows" in text
    assert "CPU time 1:00:00 on all CPUs together" in text
    assert "wall time 2:00:10 (2 actors, busy 50% of the time, with start-up)" in text
    assert "CPU-hours 4.01" in text
    assert "the run uses no GPU" in text


def test_gpus_that_were_not_measured_are_estimated_and_priced(tmp_path: Path) -> None:
    text = plan(tmp_path, "--set", "stylize.gpus_per_actor=1", "--price-per-gpu-hour", 3600)
    assert "estimate, not measured: an H200 at 50% of 790 TFLOP/s" in text
    assert "at 3600 per GPU-hour" in text


def test_json_has_the_same_numbers(tmp_path: Path) -> None:
    plan(tmp_path)  # writes the files
    result = CliRunner().invoke(app, ["plan", str(tmp_path / "run.yaml"), "--json"])
    document = json.loads(result.stdout)
    assert (document["rows"], document["images"], document["rejected"]) == (2, 2, 1)
    assert document["different"] == {"contents": 0, "styles": 0, "prompts": 2}
    assert [shape["shape"]["height"] for shape in document["shapes"]] == [64, 32]
    assert document["wall_s"] is None  # this CPU was not measured


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_fits_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    plan(tmp_path)  # writes the files
    monkeypatch.setenv("COLUMNS", str(columns))
    text = CliRunner().invoke(app, ["plan", str(tmp_path / "run.yaml")]).stdout
    header = next(line for line in text.splitlines() if "styles" in line and "steps" in line)
    assert "…" not in text
    assert header.split()[:4] == ["output", "content", "styles", "steps"]
    assert ("tokens" in header) == (columns == 80)


def test_further_tries_are_bounded_by_their_number_and_by_the_budget(tmp_path: Path) -> None:
    model = dimensions_of(ModelSource(base="tiny"))
    shapes = tuple(ShapeTime(Shape(64, height, 0, 0, 25, 1), 9, 36) for height in (64, 32))
    machine = Machine(
        settings=Settings.of(model, ModelConfig()),
        device="cpu",
        updated_at="2026-01-01T00:00:00+00:00",
        startup_s=10,
        busy=1,
        shapes=shapes,
    )
    save_calibration(Storage.at(f"{tmp_path}/out"), [machine])
    scores = ("--set", "scores=sharpness", "--set", "best_of={n: 4, by: sharpness, until: 9}")
    assert "tries" not in plan(tmp_path)
    text = plan(tmp_path, *scores)
    assert "at most 6 further images (best_of), not counted above: 0:03:36 on all CPUs" in text
    less = (*scores, "--set", "best_of.max_extra=5")
    assert "at most 5 further images (best_of), not counted above: 0:03:00" in plan(tmp_path, *less)
    document = json.loads(plan(tmp_path, *less, "--json"))
    assert (document["extra"]["images"], document["extra"]["device_s"]) == (5, 180)


def test_a_score_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="scores: 'sharpnes' is unknown; give palette"):
        plan(tmp_path, "--set", "scores=sharpnes")
