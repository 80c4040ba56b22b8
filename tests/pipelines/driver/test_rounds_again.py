"""Further tries after an earlier run: one that was interrupted, or had other settings."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines import run as run_whole
from pipelines.dispatch.workers import Event, Finished
from pipelines.storage.storage import Storage
from pipelines.worker.scores.scorer import Scorer
from tests.pipelines.driver.test_driver import config, write_rows
from tests.pipelines.driver.test_rounds import (
    HARD,
    ROWS,
    Work,
    check_images,
    run,
    settings,
    told,
    write_images,
)
from tests.pipelines.inprocess_pool import InProcessPool
from tests.pipelines.records import stored

DARK = Scorer(
    name="dark",
    title="Darkness",
    meaning="1 - mean luminance.",
    better="higher",
    low=0.0,
    high=1.0,
    source="this test",
    load=lambda _: lambda seen: 1 - float(np.asarray(seen.picture.image.convert("L")).mean()) / 255,
)


class Dying(InProcessPool):
    """A pool that ends the driver once it has reported some rows."""

    def __init__(self, work: Work, rows: int, workers: int = 1) -> None:
        super().__init__(workers, work)
        self._left = rows

    def wait(self, timeout_s: float) -> list[Event]:
        events = super().wait(timeout_s)
        self._left -= sum(isinstance(event, Finished) for event in events)
        if self._left < 0:
            raise KeyboardInterrupt
        return events


@pytest.mark.parametrize("after", [2, 7, 10, 13])
def test_an_interrupted_run_ends_with_the_same_records(tmp_path: Path, after: int) -> None:
    for name in ("straight", "broken"):
        write_images(tmp_path / name, ROWS)
    rule = {**HARD, "max_extra": 8}
    straight, _, _ = run(settings(tmp_path / "straight", rule))
    output = {"commit_rows": 1, "commit_seconds": 0.01}
    broken = settings(tmp_path / "broken", rule, output=output)
    with pytest.raises(KeyboardInterrupt):
        run(broken, pool=lambda work: Dying(work, after))
    records, _, _ = run(broken)
    assert told(records) == told(straight)
    check_images(records)


@pytest.mark.parametrize("best_of", [None, HARD, {**HARD, "until": 0.0}])
def test_a_kill_between_an_image_and_its_record_leaves_no_false_record(
    tmp_path: Path, best_of: Any
) -> None:
    for name in ("straight", "killed"):
        write_images(tmp_path / name, ROWS)
    straight, _, _ = run(settings(tmp_path / "straight", best_of))
    run(settings(tmp_path / "killed"))
    with pytest.raises(KeyboardInterrupt):
        run(settings(tmp_path / "killed", HARD), pool=lambda work: Dying(work, 0, workers=6))
    is_false = {
        each["id"]
        for each in stored(Storage.at(str(tmp_path / "killed/out")))
        if hashlib.sha256(Path(each["outputs"][0]).read_bytes()).hexdigest() != each["sha256"][0]
    }
    assert is_false
    again = settings(tmp_path / "killed", best_of, ray={"address": "none"})
    summary = run_whole(again)
    assert summary.lost_images == len(is_false)
    records = {each["id"]: each for each in stored(Storage.at(str(tmp_path / "killed/out")))}
    assert told(records) == told(straight)
    check_images(records)
    assert not list((tmp_path / "killed/out/run/overwritten").iterdir())


def test_tries_continue_by_a_score_that_was_added_later(tmp_path: Path) -> None:
    write_images(tmp_path, ROWS)
    run(settings(tmp_path, {**HARD, "n": 2}))
    names = ["sharpness", "blank", "colourfulness"]
    done = CliRunner().invoke(app, ["score", str(tmp_path / "out"), "--scores", f"{__name__}:DARK"])
    assert done.exit_code == 0, done.output
    rule = {"n": 3, "by": "dark", "until": 1.0}
    scores = [*names, f"{__name__}:DARK"]
    records, drawn, summary = run(config(tmp_path, scores=scores, best_of=rule))
    check_images(records)
    assert (len(drawn), summary.extra_images) == (len(ROWS), len(ROWS))
    for record in records.values():
        values = [each["scores"]["dark"] for each in record["tries"]]
        assert len(values) == 3
        assert values[0] == record["scores"][0]["dark"] == max(v for v in values if v is not None)


def test_a_row_that_has_changed_begins_again(tmp_path: Path) -> None:
    write_images(tmp_path, ["r1", "r2"])
    before, _, _ = run(settings(tmp_path, HARD))
    write_rows(
        tmp_path, ["r1", "r2"], seed=[1, 5], num_steps=[1, 1], width=[32] * 2, height=[32] * 2
    )
    after, drawn, _ = run(settings(tmp_path, HARD))
    assert Counter(row_id for row_id, _ in drawn) == {"r2": 3}
    assert told(after)["r1"] == told(before)["r1"]
    assert {each["number"] for each in after["r2"]["tries"]} == {0, 1, 2}
    assert min(each["seed"] for each in after["r2"]["tries"]) == 5


def test_own_columns_and_other_scores_survive_a_try_that_is_not_kept(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"width": [32] * 2, "height": [32] * 2, "num_steps": [1] * 2}
    write_rows(tmp_path, ["r1", "r2"], seed=[1, 2], artist=["Hals", "Steen"], **columns)
    run(config(tmp_path, scores=["sharpness", "blank"]))
    rule = {"n": 6, "by": "sharpness", "until": 1e9}
    records, _, _ = run(config(tmp_path, scores=["sharpness"], best_of=rule))
    assert [records[each]["artist"] for each in ("r1", "r2")] == ["Hals", "Steen"]
    for record in records.values():
        was_kept = record["tries"][0]["number"] == 0
        assert (record["scores"][0]["blank"] is not None) == was_kept
    write_rows(tmp_path, ["r1", "r2"], seed=[1, 2], artist=["Hals", "Vermeer"], **columns)
    later, drawn, _ = run(config(tmp_path, scores=["sharpness"], best_of=rule))
    assert not drawn
    assert later["r2"]["artist"] == "Vermeer"
    assert later["r2"]["tries"] == records["r2"]["tries"]
