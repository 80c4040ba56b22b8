"""`uso compare` on two real runs of the demo model: four steps against one."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.driver.test_driver import config, driver_of, write_rows
from tests.pipelines.inprocess_pool import InProcessPool
from uso_core import USOPipeline

DEMO = Path(__file__).parents[2] / "examples/demo"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Outputs of the same three rows, with four steps and with one."""
    folder = tmp_path_factory.mktemp("runs")
    photos = sorted((DEMO / "photos").glob("*.jpg"))[:3]
    style = str(DEMO / "paintings/harvest.webp")
    write_rows(
        folder,
        [f"row-{at}" for at in range(3)],
        content_image=[str(photo) for photo in photos],
        style_images=[[style]] * 3,
        width=[64] * 3,
        height=[64] * 3,
        seed=[1, 2, 3],
    )
    model = USOPipeline.demo()
    for name, steps in (("four", 4), ("one", 1)):
        settings = config(
            folder,
            output={"path": str(folder / name)},
            model={"base": "demo", "device": "cpu"},
            defaults={"num_steps": steps},
            scores="built_in",
        )
        with driver_of(settings) as (driver, _, prepared):
            stylizer = Stylizer(prepared.spec, pipeline=model)
            with closing(stylizer):
                assert driver.find_work()
                driver.work(InProcessPool(1, stylizer.stylize))
    return folder / "four", folder / "one"


def compared(a: Path, b: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["compare", str(a), str(b), "--json"])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_four_steps_and_one_differ_in_every_row(outputs: tuple[Path, Path]) -> None:
    found = compared(*outputs)
    assert (found["pairs"], found["other_references"], found["not_compared"]) == (3, 0, {})
    scores = {score["name"]: score for score in found["scores"]}
    assert set(scores) == {
        "palette",
        "structure",
        "sharpness",
        "colourfulness",
        "near_copy_content",
        "near_copy_style",
        "blank",
    }
    for name in ("palette", "structure", "sharpness", "colourfulness"):
        assert (scores[name]["rows"], scores[name]["share_equal"]) == (3, 0)
        low, high = scores[name]["interval"]
        assert low <= scores[name]["difference"] <= high
    back = {score["name"]: score for score in compared(*reversed(outputs))["scores"]}
    for name, score in scores.items():
        assert back[name]["difference"] == pytest.approx(-score["difference"])


def test_a_run_does_not_differ_from_itself(outputs: tuple[Path, Path]) -> None:
    for score in compared(outputs[0], outputs[0])["scores"]:
        assert (score["difference"], score["interval"]) == (0, [0, 0])
        assert (score["share_equal"], score["verdict"]) == (1, "none")


def test_scores_of_stored_images_are_those_of_the_run(
    outputs: tuple[Path, Path], tmp_path: Path
) -> None:
    expected = compared(*outputs)
    plain = []
    for output in outputs:
        copy = tmp_path / output.name
        shutil.copytree(output, copy)
        (copy / "scores/descriptions.json").unlink()
        for part in (copy / "records").glob("*.parquet"):
            pq.write_table(pq.read_table(part).drop_columns(["scores"]), part)
        plain.append(copy)
    refused = CliRunner().invoke(app, ["compare", *map(str, plain)])
    assert refused.exit_code == 2
    assert "have no score in common: --measure computes scores" in refused.stderr
    before = sorted(path.name for path in plain[0].rglob("*"))
    result = CliRunner().invoke(app, ["compare", *map(str, plain), "--measure", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [{**score, "interval": None} for score in found["scores"]] == [
        pytest.approx({**score, "interval": None}) for score in expected["scores"]
    ]
    assert sorted(path.name for path in plain[0].rglob("*")) == before
