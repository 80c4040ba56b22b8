"""Scores that rows lack are measured from the stored images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.storage.storage import Storage
from pipelines.tools.compare import measuring
from pipelines.tools.compare.comparison import paired
from pipelines.tools.compare.measuring import Measured
from pipelines.tools.compare.sides import Side, read_side
from pipelines.worker.scores.registry import ChosenScorer, chosen_scorers
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.compare.outputs import write_output
from tests.pipelines.tools.report.outputs import commit, generated

CHOSEN = chosen_scorers({"palette": {}, "sharpness": {}})
OURS = CHOSEN[0].facts().identity


def measured(*outputs: Storage, chosen: tuple[ChosenScorer, ...] = CHOSEN) -> tuple[Any, ...]:
    sides = [read_side(output) for output in outputs]
    fetch = FetchConfig(timeout_s=5, attempts=1)
    pairs = list(zip(outputs, sides, strict=True))
    result = measuring.measure(pairs, paired(*sides), chosen, fetch, {}, lambda *_: None)
    return (result, *sides)


def plain(folder: Path, *ids: str, **columns: Any) -> Storage:
    output = Storage.at(str(folder))
    commit(output, *(generated(output, row, seed=at, **columns) for at, row in enumerate(ids)))
    return output


def values(side: Side, name: str, ids: str) -> list[float]:
    return [side.score(name, row_id) for row_id in ids]


def test_only_pairs_are_measured_and_a_lost_reference_gives_none(tmp_path: Path) -> None:
    style = tmp_path / "style.png"
    style.write_bytes(encode(picture(seed=5)))
    a = plain(tmp_path / "a", "x", "y", "z", styles=[str(style)])
    b = plain(tmp_path / "b", "x", "y", styles=[str(tmp_path / "gone.png")])
    result, here, there = measured(a, b)
    assert result == Measured(rows=4, unread=1)
    assert all(0 < value < 1 for value in values(here, "palette", "xy"))
    assert math.isnan(here.score("palette", "z"))
    assert all(map(math.isnan, values(there, "palette", "xy")))
    assert values(here, "sharpness", "xy") == values(there, "sharpness", "xy")


def test_recorded_values_stay_and_only_gaps_are_filled(tmp_path: Path) -> None:
    style = tmp_path / "style.png"
    style.write_bytes(encode(picture(seed=5)))
    rows: dict[str, dict[str, float | None]] = {"x": {"palette": 9.0}, "y": {"palette": None}}
    a = write_output(tmp_path / "a", rows, identity=OURS, styles=[str(style)])
    result, here, _ = measured(a, a, chosen=CHOSEN[:1])
    assert result == Measured(rows=2, unread=0)
    assert here.score("palette", "x") == 9
    assert 0 < here.score("palette", "y") < 1


def test_a_row_without_the_input_is_not_looked_at(tmp_path: Path) -> None:
    a = plain(tmp_path / "a", "x")
    result, _, _ = measured(a, a, chosen=CHOSEN[:1])
    assert result == Measured(rows=0, unread=0)


@pytest.mark.parametrize(("other", "rows"), [("old", 0), (OURS, 2)])
def test_a_measure_of_another_version_is_not_mixed_with_ours(
    tmp_path: Path, other: str, rows: int
) -> None:
    style = tmp_path / "style.png"
    style.write_bytes(encode(picture(seed=5)))
    scores = {"x": {"palette": 9.0}, "y": {"palette": 8.0}}
    a = write_output(tmp_path / "a", scores, identity="old", styles=[str(style)])
    b = write_output(tmp_path / "b", scores, identity=other, styles=[str(style)])
    result, here, there = measured(a, b, chosen=CHOSEN[:1])
    assert result.rows == rows
    assert (here.score("palette", "x") == 9) == (other == "old")
    assert there.score("palette", "x") == 9


def test_a_lost_image_is_counted(tmp_path: Path) -> None:
    a, b = plain(tmp_path / "a", "x"), plain(tmp_path / "b", "x")
    for file in (tmp_path / "b/images").rglob("*.png"):
        file.unlink()
    result, here, there = measured(a, b)
    assert result == Measured(rows=2, unread=1)
    assert here.score("sharpness", "x") > 0
    assert math.isnan(there.score("sharpness", "x"))
