from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.tools.report.row_table import Pair, RowRecord, RowTable


@pytest.fixture
def table(tmp_path: Path) -> Iterator[RowTable]:
    table = RowTable(tmp_path)
    yield table
    table.close()


def row(
    row_id: str, *styles: str, content: str | None = None, code: str | None = None
) -> RowRecord:
    return RowRecord(row_id, code, content, styles, {"id": row_id})


def test_rows_are_in_the_order_of_their_ids_with_the_other_runs_rows(table: RowTable) -> None:
    table.add([row("b"), row("é"), row("a\x00")])
    table.add([row("a"), row("B")])
    table.add_other([("a", {"x": 1}), ("z", {"x": 2})])
    table.sort()
    rows = list(table.rows())
    assert [one.record.id for one in rows] == ["B", "a", "a\x00", "b", "é"]
    assert [one.number for one in rows] == [0, 1, 2, 3, 4]
    assert [one.against for one in rows] == [None, {"x": 1}, None, None, None]
    assert table.only_in_other() == 1
    assert table.row(3).record == row("b")
    assert [one.record.id for one in table.rows(2)] == ["B", "a"]


def test_styles_and_contents_are_counted(table: RowTable) -> None:
    table.add(
        [
            row("1", "s", content="c", code="internal"),
            row("2", "s", content="c"),
            row("3", "s", content="c"),
            row("4", "s", "t", content="c"),
            row("5", "t"),
            row("6", "u", content="d"),
        ]
    )
    table.sort()
    assert table.styles(2) == [("s", 4), ("t", 2)]
    sets = table.style_sets(2)
    assert sets == [("s",), ("s", "t")]
    assert table.contents(sets, 9) == ["c"]
    assert table.pairs("c", sets) == [Pair(0, 3, 1), Pair(1, 1, 3)]


def test_a_thumbnail_is_claimed_once(table: RowTable) -> None:
    assert [table.claim_picture("k"), table.claim_picture("k")] == [True, False]
    assert table.picture("unknown") == (False, None)
    table.note_picture("k", "gone")
    assert table.picture("k") == (False, "gone")
    table.note_picture("k", None)
    assert table.picture("k") == (True, None)
