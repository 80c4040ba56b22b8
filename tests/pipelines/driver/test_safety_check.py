"""The safety check in a run, from its configuration to its records; threads play the workers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.config.schema import RunConfig
from pipelines.driver.prepare import prepare
from pipelines.driver.summary import summarize
from pipelines.errors import ConfigError
from pipelines.ledger.records import Records
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.driver.test_driver import config, driver_of, write_rows
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.painted import BROWN, Painted
from tests.pipelines.records import stored

BROWN_SEED = 7
COLOURS = {BROWN_SEED: BROWN}


def write_images(folder: Path, seeds: Mapping[str, int]) -> None:
    """Write a manifest with one image for each row."""
    count = len(seeds)
    sizes: dict[str, list[Any]] = {"width": [32] * count, "height": [32] * count}
    write_rows(folder, list(seeds), **sizes, seed=[*seeds.values()], num_steps=[1] * count)


def run(settings: RunConfig) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Do a run; return the records of its output by id, and the rows that were drawn."""
    drawn: list[str] = []
    with driver_of(settings) as (driver, stats, prepared):
        stylizer = Stylizer(prepared.spec, pipeline=Painted(COLOURS))

        def work(row: Any) -> Any:
            drawn.append(row.id)
            return stylizer.stylize(row)

        with closing(stylizer):
            if driver.find_work():
                driver.work(InProcessPool(1, work))
        assert stats.consecutive_failed == 0
        return {record["id"]: record for record in stored(prepared.output)}, drawn


def with_safety(folder: Path, mode: str, **sections: Any) -> RunConfig:
    return config(folder, safety={"mode": mode}, **sections)


def test_flag_fills_the_records_and_draws_the_same_images(tmp_path: Path) -> None:
    for name in ("off", "flag"):
        (tmp_path / name).mkdir()
        write_images(tmp_path / name, {"a": 1, "b": BROWN_SEED})
    plain, _ = run(with_safety(tmp_path / "off", "off"))
    flagged, _ = run(with_safety(tmp_path / "flag", "flag"))
    assert [plain[name]["has_nsfw_contents"] for name in "ab"] == [[None], [None]]
    assert "nsfw_score" not in plain["a"]
    assert [flagged[name]["has_nsfw_contents"] for name in "ab"] == [[False], [True]]
    assert flagged["b"]["nsfw_score"] == [pytest.approx(0.2867, abs=0.0005)]
    for column in ("sha256", "fingerprint", "status"):
        assert [plain[name][column] for name in "ab"] == [flagged[name][column] for name in "ab"]


def test_flags_are_counted_and_packed(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 1, "b": BROWN_SEED})
    settings = with_safety(tmp_path, "flag")
    run(settings)
    out = str(tmp_path / "out")
    packed = CliRunner().invoke(app, ["pack", out, "--layout", "parquet"])
    assert packed.exit_code == 0, packed.output
    samples = ds.dataset(tmp_path / "out" / "parquet" / "data").to_table().to_pylist()
    assert {sample["id"]: sample["has_nsfw_content"] for sample in samples} == {"a": 0, "b": 1}
    (score,) = (sample["nsfw_score"] for sample in samples if sample["id"] == "b")
    assert score == pytest.approx(0.2867, abs=0.0005)


def test_a_run_counts_the_flagged_images(tmp_path: Path) -> None:
    for mode in ("flag", "withhold"):
        (tmp_path / mode).mkdir()
        write_images(tmp_path / mode, {"a": 1, "b": BROWN_SEED})
        with driver_of(with_safety(tmp_path / mode, mode)) as (driver, stats, prepared):
            stylizer = Stylizer(prepared.spec, pipeline=Painted(COLOURS))
            with closing(stylizer):
                driver.work(InProcessPool(1, stylizer.stylize))
            summary = summarize(prepared, stats, interrupted=False)
        assert (summary.flagged, summary.completed + summary.failed) == (1, 2)


def test_rows_that_are_recorded_stay_unchecked(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": BROWN_SEED})
    run(with_safety(tmp_path, "off"))
    write_images(tmp_path, {"a": BROWN_SEED, "b": BROWN_SEED})
    records, drawn = run(with_safety(tmp_path, "flag"))
    assert drawn == ["b"]
    assert (records["a"]["has_nsfw_contents"], records["a"]["nsfw_score"]) == ([None], None)
    assert records["b"]["has_nsfw_contents"] == [True]
    _, drawn = run(with_safety(tmp_path, "flag"))
    assert drawn == []


def test_a_withheld_row_is_a_failed_record_with_its_score(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 1, "b": BROWN_SEED})
    settings = with_safety(tmp_path, "withhold")
    records, _ = run(settings)
    assert records["a"]["status"] == "completed"
    withheld = records["b"]
    assert (withheld["status"], withheld["error"]["code"]) == ("failed", "unsafe_content")
    assert (withheld["outputs"], withheld["sha256"], withheld["image_bytes"]) == (None,) * 3
    assert withheld["has_nsfw_contents"] == [True]
    assert withheld["nsfw_score"] == [pytest.approx(0.2867, abs=0.0005)]
    assert len(list(tmp_path.rglob("*.png"))) == 1
    with prepare(settings) as prepared:
        counts = Records(prepared.output).counts()
    assert (counts.completed, counts.failed_by_code) == (1, {"unsafe_content": 1})


def test_a_withheld_row_is_drawn_again_only_on_request(tmp_path: Path) -> None:
    write_images(tmp_path, {"b": BROWN_SEED})
    run(with_safety(tmp_path, "withhold"))
    records, drawn = run(with_safety(tmp_path, "flag"))
    assert (drawn, records["b"]["status"]) == ([], "failed")
    records, drawn = run(with_safety(tmp_path, "flag", on_error={"retry_failed": True}))
    assert (drawn, records["b"]["status"]) == (["b"], "completed")
    assert records["b"]["has_nsfw_contents"] == [True]


def test_withheld_rows_do_not_stop_a_run(tmp_path: Path) -> None:
    write_images(tmp_path, {f"b{number}": BROWN_SEED for number in range(4)})
    settings = with_safety(tmp_path, "withhold", on_error={"max_consecutive": 2})
    records, _ = run(settings)
    assert {record["error"]["code"] for record in records.values()} == {"unsafe_content"}
    assert len(records) == 4


def test_a_checker_that_is_not_installed_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 1})
    settings = config(tmp_path, safety={"mode": "flag", "checker": "no_such_module:load"})
    with pytest.raises(ConfigError, match=r"safety\.checker"), prepare(settings):
        pass
    assert not (tmp_path / "out").exists()
