"""Rows are paired by id, and each score is compared over the pairs that have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import ReportError
from pipelines.storage.storage import Storage
from pipelines.tools.compare.comparison import Comparison, ScoreDifference, compare, paired
from pipelines.tools.compare.examples import extremes
from pipelines.tools.compare.sides import read_side
from tests.pipelines.tools.compare.outputs import write_output


def compared(a: Storage, b: Storage) -> Comparison:
    here, there = read_side(a), read_side(b)
    return compare(here, there, paired(here, there))


def by_name(found: Comparison) -> dict[str, ScoreDifference]:
    return {score.name: score for score in found.scores}


def test_rows_of_one_side_and_failed_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    one = {"style": 0.5}
    a = write_output(
        tmp_path / "a", {"1": one, "2": {"style": 0.1}, "3": None, "4": one, "5": None, "6": one}
    )
    b = write_output(
        tmp_path / "b", {"1": {"style": 0.7}, "2": {"style": 0.4}, "3": one, "4": None, "5": None}
    )
    found = compared(a, b)
    assert (found.pairs, found.failed_in_both) == (2, 1)
    assert (found.a.completed, found.a.failed, found.a.only_here, found.a.failed_here) == (
        4, 2, 1, 1,
    )  # fmt: skip
    assert (found.b.completed, found.b.failed, found.b.only_here, found.b.failed_here) == (
        3, 2, 0, 1,
    )  # fmt: skip
    style = by_name(found)["style"]
    assert style.rows == 2
    assert (style.mean_a, style.mean_b) == pytest.approx((0.3, 0.55))
    assert style.difference == pytest.approx(0.25)
    assert style.interval == pytest.approx((0.2, 0.3))
    assert (style.share_b_better, style.share_equal, style.verdict) == (1, 0, "b")
    assert found.not_compared == {
        "palette": "no paired row of A and B has it",
        "colour": "no paired row of A and B has it",
    }


def test_the_direction_of_a_score_decides_who_is_better(tmp_path: Path) -> None:
    rows = [str(at) for at in range(12)]
    a = write_output(
        tmp_path / "a",
        {
            row: {"style": 0.5, "palette": 0.2 + 0.01 * at, "colour": 9.0}
            for at, row in enumerate(rows)
        },
    )
    b = write_output(
        tmp_path / "b",
        {
            row: {
                "style": 0.5 + (0.1 if at % 2 else -0.1),
                "palette": 0.1 + 0.01 * at + 0.001 * (at % 3),
                "colour": 4.0 if at else None,
            }
            for at, row in enumerate(rows)
        },
    )
    found = by_name(compared(a, b))
    assert found["style"].verdict == "none"
    assert found["style"].share_b_better == 0.5
    assert (found["palette"].verdict, found["palette"].share_b_better) == ("b", 1)
    assert found["palette"].difference < 0
    assert (found["colour"].verdict, found["colour"].rows) == ("lower", 11)
    back = by_name(compared(b, a))
    assert (back["palette"].verdict, back["palette"].share_b_better) == ("a", 0)
    assert back["palette"].interval == pytest.approx(
        tuple(-each for each in reversed(found["palette"].interval or ())), abs=1e-3
    )


def test_an_output_does_not_differ_from_itself(tmp_path: Path) -> None:
    a = write_output(
        tmp_path / "a", {str(at): {"style": at / 7, "palette": 1 / (at + 1)} for at in range(9)}
    )
    for score in compared(a, a).scores:
        assert (score.difference, score.interval) == (0, (0, 0))
        assert (score.share_b_better, score.share_equal, score.verdict) == (0, 1, "none")


def test_other_references_of_the_same_row_are_named(tmp_path: Path) -> None:
    rows = {str(at): {"style": 0.5} for at in range(7)}
    a = write_output(tmp_path / "a", rows, content="x.png", styles=["s.png"])
    b = write_output(tmp_path / "b", rows, content="x.png", styles=["t.png"])
    found = compared(a, b)
    assert found.other_references == 7
    assert found.other_references_examples == ("0", "1", "2", "3", "4")
    assert compared(a, a).other_references == 0


def test_one_name_with_two_meanings_is_not_compared(tmp_path: Path) -> None:
    rows = {"1": {"style": 0.5}, "2": {"style": 0.6}}
    a = write_output(tmp_path / "a", rows)
    b = write_output(tmp_path / "b", rows, identity="2")
    found = compared(a, b)
    assert found.scores == ()
    assert (
        found.not_compared["style"] == "measured by other versions, options or weights in A and B"
    )


def test_an_output_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no records; check the path"):
        read_side(Storage.at(str(tmp_path / "nothing")))


def test_the_page_gets_both_ends_of_each_score(tmp_path: Path) -> None:
    rows = {f"{at:02d}": {"style": 0.5} for at in range(20)}
    a = read_side(write_output(tmp_path / "a", rows))
    others = {f"{at:02d}": {"style": at / 20, "palette": None} for at in range(20)}
    b = read_side(write_output(tmp_path / "b", others))
    ids = paired(a, b)
    assert extremes(a, b, ids, compare(a, b, ids), 3) == {"00", "01", "19"}
    assert len(extremes(a, b, ids, compare(a, b, ids), 50)) == 20
