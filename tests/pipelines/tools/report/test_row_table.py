from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import StorageError
from pipelines.tools.report import part_file
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.row_table import Row, RowTable, row_at
from pipelines.tools.report.sorted_batches import IdOrder
from tests.pipelines.tools.report.plain_rows import batch_of, others_of


def row(row_id: str, *styles: str, content: str | None = None, code: str | None = None) -> Row:
    return Row(0, row_id, code, content, styles)


def test_rows_are_in_the_order_of_their_ids_with_the_other_runs_rows(tmp_path: Path) -> None:
    table = RowTable(tmp_path)
    table.add(batch_of(row("b"), row("é"), row("a\x00")))
    table.add(batch_of(row("a"), row("B")))
    table.add_other(others_of(z={"outputs": ["2"]}, a={"outputs": ["1"], "sha256": ["f"]}))
    table.sort()
    rows = list(table.rows())
    assert [one.id for one in rows] == ["B", "a", "a\x00", "b", "é"]
    assert [one.number for one in rows] == [0, 1, 2, 3, 4]
    theirs = {"outputs": ["1"], "sha256": ["f"]}
    assert [one.against for one in rows] == [None, theirs, None, None, None]
    assert table.other_rows == 2
    assert row_at(table.take(np.array([3])), 0, 3) == row("b")._replace(number=3)
    assert [one.id for one in table.rows(2)] == ["B", "a"]


def test_another_run_without_a_common_row_is_joined(tmp_path: Path) -> None:
    table = RowTable(tmp_path)
    table.add(batch_of(row("m"), row("n")))
    table.add_other(others_of(a={"error": {"code": "internal"}}, z={"outputs": ["1"]}))
    table.sort()
    assert [one.against for one in table.rows()] == [None, None]
    assert table.other_rows == 2


@pytest.mark.parametrize("looks", [True, False])
def test_many_parts_are_sorted_and_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, looks: bool
) -> None:
    monkeypatch.setattr(part_file, "PART_ROWS", 7)
    ids = [f"{number:03d}" for number in range(100)]
    random.Random(0).shuffle(ids)
    table = RowTable(tmp_path)
    if looks:
        table.expect(IdOrder(bounds=["013", "034", "050", "091"]))
        table.expect_other(IdOrder(bounds=["045"]))
    for start in range(0, 100, 13):
        mine = ids[start : start + 13]
        table.add(batch_of(*(row(one, f"s{one}", content=f"c{one[:2]}") for one in mine)))
        table.add_other(others_of(**{one: {"outputs": [one]} for one in mine if one[2] in "05"}))
    table.sort()
    rows = list(table.rows())
    assert all(one.id < other.id for one, other in pairwise(rows))
    assert [one.number for one in rows] == list(range(100))
    assert {one.id: one.styles for one in rows} == {one: (f"s{one}",) for one in ids}
    assert [one.id for one in rows if one.against] == [one for one in sorted(ids) if one[2] in "05"]
    assert all(one.against == {"outputs": [one.id]} for one in rows if one.against)
    assert (len(table), table.other_rows) == (100, 20)
    numbers = np.array([0, 33, 34, 99])
    some = table.take(numbers)
    assert [row_at(some, place, n).id for place, n in enumerate(numbers)] == [
        "000",
        "033",
        "034",
        "099",
    ]


def test_styles_and_contents_are_counted(tmp_path: Path) -> None:
    table = RowTable(tmp_path)
    table.add(
        batch_of(
            row("1", "s", content="c", code="internal"),
            row("2", "s", content="c"),
            row("3", "s", content="c"),
            row("4", "s", "t", content="c"),
            row("5", "t"),
            row("6", "u", content="d"),
        )
    )
    table.sort()
    assert table.styles(2) == [("s", 4), ("t", 2)]
    sets = table.style_sets(2)
    assert sets == [("s",), ("s", "t")]
    assert table.contents(sets, 9) == ["c"]


def test_a_full_temporary_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    table = RowTable(tmp_path / "gone")
    with pytest.raises(StorageError, match=r"cannot hold the rows of the report .* TMPDIR"):
        table.add(batch_of(row("1")))
    with pytest.raises(StorageError, match=r"No space left on device\); free space there"):
        RowNumbers(Path("/dev/full"), np.uint8).add(np.zeros(1))


def test_a_thumbnail_is_claimed_once(tmp_path: Path) -> None:
    table = PictureTable(tmp_path)
    assert table.is_empty
    assert [table.claim_picture("k"), table.claim_picture("k")] == [True, False]
    assert table.picture("unknown") == (False, None)
    table.note_picture("k", "gone")
    assert table.picture("k") == (False, "gone")
    table.note_picture("k", None)
    assert table.picture("k") == (True, None)
    assert table.are_known(["unknown", "k"]).tolist() == [False, True]
    table.close()
