"""Scores in a run, from its configuration to records, counts and shards; threads do the work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.config.schema import RunConfig
from pipelines.driver.prepare import prepare
from pipelines.driver.summary import summarize
from pipelines.errors import ConfigError
from pipelines.ledger.records import Records
from pipelines.ledger.score_facts import read_score_facts
from pipelines.ledger.score_means import mean_scores
from pipelines.storage.storage import Storage
from pipelines.worker.scores import palette
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.driver.test_driver import config, driver_of, write_rows
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.pictures import picture
from tests.pipelines.records import stored
from tests.pipelines.tiny_models import tiny

SCORES = ["palette", "blank"]


def write_styled(folder: Path, ids: Sequence[str], styled: Sequence[str] = ()) -> None:
    """Write a manifest of small images, some of them with a style."""
    picture().save(folder / "style.png")
    count = len(ids)
    write_rows(
        folder,
        list(ids),
        style_images=[["style.png"] if each in styled else None for each in ids],
        width=[32] * count,
        height=[32] * count,
        seed=list(range(count)),
        num_steps=[1] * count,
    )


def run(settings: RunConfig) -> tuple[dict[str, dict[str, Any]], list[str], dict[str, Any]]:
    """Do a run; return the records by id, the rows that were drawn, and the means of the run."""
    drawn: list[str] = []
    with driver_of(settings) as (driver, stats, prepared):
        stylizer = Stylizer(prepared.spec, pipeline=tiny())

        def work(row: Any) -> Any:
            drawn.append(row.id)
            return stylizer.stylize(row)

        with closing(stylizer):
            if driver.find_work():
                driver.work(InProcessPool(1, work))
        means = summarize(prepared, stats, interrupted=False).scores
        return {each["id"]: each for each in stored(prepared.output)}, drawn, dict(means)


def test_records_hold_the_scores_and_the_images_stay_the_same(tmp_path: Path) -> None:
    for name in ("plain", "scored"):
        (tmp_path / name).mkdir()
        write_styled(tmp_path / name, "ab", "a")
    plain, _, none = run(config(tmp_path / "plain"))
    scored, _, means = run(config(tmp_path / "scored", scores=SCORES))
    (of_a,), (of_b,) = (scored[name]["scores"] for name in "ab")
    assert 0 < of_a["palette"] < 1
    assert of_b == {"palette": None, "blank": 0.0}
    assert means == {"palette": of_a["palette"], "blank": 0.0}
    assert "scores" not in plain["a"]
    assert none == {}
    assert not (tmp_path / "plain" / "out" / "scores").exists()
    for column in ("sha256", "status", "seed"):
        assert [plain[name][column] for name in "ab"] == [scored[name][column] for name in "ab"]


def test_other_scores_draw_nothing_again_and_stand_beside_the_old_ones(tmp_path: Path) -> None:
    write_styled(tmp_path, "a", "a")
    run(config(tmp_path))
    write_styled(tmp_path, "ab", "ab")
    _, drawn, _ = run(config(tmp_path, scores=["palette"]))
    assert drawn == ["b"]
    write_styled(tmp_path, "abc", "abc")
    records, drawn, _ = run(config(tmp_path, scores=["blank"]))
    assert drawn == ["c"]
    assert records["a"]["scores"] is None
    (of_b,), (of_c,) = (records[name]["scores"] for name in "bc")
    assert (of_b["palette"] is None, of_b["blank"]) == (False, None)
    assert of_c == {"palette": None, "blank": 0.0}
    records, drawn, _ = run(config(tmp_path))
    assert drawn == []
    assert records["c"]["scores"] == [of_c]
    output = Storage.at(str(tmp_path / "out"))
    assert list(read_score_facts(output)) == ["palette", "blank"]
    assert mean_scores(Records(output)) == {"palette": of_b["palette"], "blank": 0.0}


def test_a_score_of_another_meaning_is_not_mixed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_styled(tmp_path, "a", "a")
    run(config(tmp_path, scores=["palette"]))
    newer = palette.SCORER.__class__(**{**vars(palette.SCORER), "version": 2})
    monkeypatch.setattr(palette, "SCORER", newer)
    with (
        pytest.raises(ConfigError, match=r"scores\.palette: the records .* another version"),
        prepare(config(tmp_path, scores=["palette"])),
    ):
        pass
    run(config(tmp_path, scores=["blank"]))


def test_status_and_shards_have_them(tmp_path: Path) -> None:
    write_styled(tmp_path, "ab", "a")
    records, _, _ = run(config(tmp_path, scores=SCORES))
    out, of_a = str(tmp_path / "out"), records["a"]["scores"][0]
    said = CliRunner().invoke(app, ["status", out])
    assert f"scores     palette {of_a['palette']:.4g}, blank 0" in said.output
    document = json.loads(CliRunner().invoke(app, ["status", out, "--json"]).output)
    assert document["scores"] == {"palette": of_a["palette"], "blank": 0}
    packed = CliRunner().invoke(app, ["pack", out, "--layout", "parquet"])
    assert packed.exit_code == 0, packed.output
    samples = ds.dataset(tmp_path / "out" / "parquet" / "data").to_table()
    kind = pa.struct([("palette", pa.float64()), ("blank", pa.float64())])
    assert samples.schema.field("scores").type == kind
    assert {each["id"]: each["scores"] for each in samples.to_pylist()}["a"] == of_a
