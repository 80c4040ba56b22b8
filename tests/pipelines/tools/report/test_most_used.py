"""Counting references by hashes finds what counting by names finds."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tools.report import matrix, most_used, part_file
from pipelines.tools.report.matrix import choose
from pipelines.tools.report.row_table import Row, RowTable
from pipelines.tools.report.style_sets import StyleSets
from tests.pipelines.tools.report.plain_rows import batch_of

Name = TypeVar("Name", str, tuple[str, ...])

Drawn = tuple[str | None, list[str], str | None]

STYLES = st.lists(st.sampled_from("abcd"), max_size=3)
ROW = st.tuples(st.sampled_from([None, *"xyz", "é"]), STYLES, st.sampled_from([None, "internal"]))


def most(counts: Counter[Name], number: int) -> list[tuple[Name, int]]:
    """Return the highest counts, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def rows_of(drawn: Sequence[Drawn]) -> list[Row]:
    return [
        Row(n, f"{n:03d}", code, content, tuple(styles), [f"/out/images/aa/{n}.png"])
        for n, (content, styles, code) in enumerate(drawn)
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=30), st.randoms(), st.integers(1, 4))
def test_counts_and_pairs_are_those_of_names(
    drawn: list[Drawn], shuffle: Random, number: int
) -> None:
    rows = rows_of(drawn)
    added = list(rows)
    shuffle.shuffle(added)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(part_file, "PART_ROWS", 4)
        patch.setattr(most_used, "_PENDING", 3)
        patch.setattr(most_used, "_SPARE", 1)
        patch.setattr(matrix, "_STYLES", number)
        patch.setattr(matrix, "_CONTENTS", number)
        table = RowTable(Path(folder))
        for start in range(0, len(added), 5):
            table.add(batch_of(*added[start : start + 5]))
        table.sort()
        uses = Counter(style for row in rows for style in row.styles)
        assert table.styles(number) == most(uses, number)
        sets = Counter(row.styles for row in rows if row.content is not None and row.styles)
        found = choose(table)
        assert found.styles == [styles for styles, _ in most(sets, number)]
        contents = Counter(r.content for r in rows if r.content and r.styles in found.styles)
        assert found.contents == [content for content, _ in most(contents, number)]
        cells = {
            (content, found.styles[pair.styles]): (pair.rows, pair.shown)
            for page in range(found.pages)
            for content, pairs in found.page(page)
            for pair in pairs
        }
        assert cells == expected_cells(rows, found.contents, found.styles)


def expected_cells(
    rows: Sequence[Row], contents: Sequence[str], sets: Sequence[tuple[str, ...]]
) -> dict[tuple[str, tuple[str, ...]], tuple[int, Row]]:
    """Return the number of rows of each pair, and its first completed row, or its first row."""
    cells = {}
    for content in contents:
        for styles in sets:
            mine = [row for row in rows if (row.content, row.styles) == (content, styles)]
            if mine:
                completed = [row for row in mine if row.code is None]
                cells[content, styles] = len(mine), (completed or mine)[0]
    return cells


@settings(deadline=None)
@given(st.lists(st.lists(STYLES, max_size=6), max_size=4), st.sets(st.sampled_from("abcd")))
def test_the_styles_of_each_row_are_those_that_the_page_offers(
    batches: list[list[list[str]]], offered: set[str]
) -> None:
    names = sorted(offered, reverse=True)
    with tempfile.TemporaryDirectory() as folder:
        sets = StyleSets(names, Path(folder))
        for styles in batches:
            rows = [Row(0, "", styles=tuple(one)) for one in styles]
            sets.add(batch_of(*rows)["styles"])
        found = [{names[n] for n in sets.different[one]} for one in sets.rows.all()]
    assert found == [set(styles) & offered for batch in batches for styles in batch]
    assert all(one == sorted(set(one)) for one in sets.different)
