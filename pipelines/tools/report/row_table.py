"""The rows of a report in the order of their ids: joined with another run's, and counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tools.report.reference_codes import ReferenceCodes
from pipelines.tools.report.sorted_batches import PART_ROWS, SortedBatches

_OF_A_ROW = ("id", "code", "content", "styles", "outputs", "sha256")
_OF_THE_OTHER = ("outputs", "sha256", "error")

Against = dict[str, Any]
"""The other run's row: `outputs`, `sha256` and `error` as JSON values, if it has them."""


class Row(NamedTuple):
    """One row of the report.

    Attributes:
        number: position in the order of the ids, from 0.
        id: its id as recorded.
        code: failure code; None if the row is completed.
        content: recorded reference of the content image; None without one.
        styles: recorded references of the style images, in order.
        outputs: recorded URIs of its images.
        sha256: hashes of the images.
        against: the other run's row with the same id; None without one.
    """

    number: int
    id: str
    code: str | None = None
    content: str | None = None
    styles: tuple[str, ...] = ()
    outputs: Sequence[str] = ()
    sha256: Sequence[str] = ()
    against: Against | None = None


class Part(NamedTuple):
    """Consecutive rows.

    Attributes:
        first: number of the first one.
        rows: the columns of `pipelines.tools.report.plain_columns`.
        against: the other run's rows with the same ids, null for none; None without such a run.
    """

    first: int
    rows: pa.RecordBatch
    against: pa.Table | None


class Pair(NamedTuple):
    """The rows that share a content image and their styles.

    Attributes:
        styles: index of the combination of styles in the request.
        rows: number of rows.
        number: number of the first completed row, or of the first row if all failed.
    """

    styles: int
    rows: int
    number: int


class RowTable:
    """Takes plain columns in any order; after `sort`, reads them in the order of the ids.

    Memory: 9 bytes per row, and each different reference; the rest is in temporary files.
    """

    def __init__(self, folder: Path) -> None:
        """Create a table in `folder`, which the caller removes."""
        self._rows = SortedBatches(folder, "rows")
        self._other = SortedBatches(folder, "other")
        self.codes = ReferenceCodes()

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the run."""
        self._rows.add(batch)
        self.codes.add(batch["content"], batch["styles"], batch["code"])

    def add_other(self, batch: pa.RecordBatch) -> None:
        """Add rows of the run to compare with: `id`, `outputs`, `sha256`, and `error` as JSON."""
        self._other.add(batch)

    def sort(self) -> None:
        """Sort the rows by id, after all were added."""
        self.codes.finish(self._rows.sort())
        self._other.sort()

    def __len__(self) -> int:
        return self._rows.rows

    def only_in_other(self) -> int:
        """Return the number of rows that only the other run has."""
        common = (part.against["id"] for part in self.parts() if part.against is not None)
        matched: int = sum(len(ids) - ids.null_count for ids in common)
        return self._other.rows - matched

    def parts(self) -> Iterator[Part]:
        """Yield all rows in order."""
        for number in range(-(-len(self) // PART_ROWS)):
            yield self._part(number)

    def rows(self, first: int | None = None) -> Iterator[Row]:
        """Yield the rows in order: the first `first` rows, or all."""
        return islice((row for part in self.parts() for row in rows_of_part(part)), first)

    def row(self, number: int) -> Row:
        """Return a row by its number, without the other run's."""
        (row,) = rows_of_part(Part(number, self._rows.row(number, _OF_A_ROW), None))
        return row

    def styles(self, most: int) -> list[tuple[str, int]]:
        """Return the most used styles, each with its number of rows."""
        return self.codes.styles(most)

    def style_sets(self, most: int) -> list[tuple[str, ...]]:
        """Return the most used combinations of styles among rows with a content image."""
        return self.codes.style_sets(most)

    def contents(self, styles: Iterable[tuple[str, ...]], most: int) -> list[str]:
        """Return the most used content images among rows with one of these combinations."""
        return self.codes.contents(styles, most)

    def pairs(self, content: str, styles: Iterable[tuple[str, ...]]) -> list[Pair]:
        """Return the rows of one content image with each of these combinations that it has."""
        found = self.codes.pairs(content, styles)
        return [Pair(index, rows, number) for index, rows, number in found]

    def _part(self, number: int) -> Part:
        rows = self._rows.part(number)
        against = self._joined(rows["id"]) if self._other.rows else None
        return Part(number * PART_ROWS, rows, against)

    def _joined(self, ids: pa.Array) -> pa.Table:
        """Return the other run's rows with these sorted ids, null for none."""
        lowest, highest = ids[0].as_py(), ids[-1].as_py()
        parts = [
            part
            for part in self._other.parts()
            if part["id"][-1].as_py() >= lowest and part["id"][0].as_py() <= highest
        ]
        columns = ["id", *_OF_THE_OTHER]
        if not parts:
            empty = self._other.part(0).schema
            return pa.table({n: pa.nulls(len(ids), empty.field(n).type) for n in columns})
        there = pa.Table.from_batches(parts).select(columns).combine_chunks()
        return there.take(pc.index_in(ids, value_set=there["id"].combine_chunks()))


def slice_of(part: Part, start: int, length: int) -> Part:
    """Return some of the rows of a part."""
    against = None if part.against is None else part.against.slice(start, length)
    return Part(part.first + start, part.rows.slice(start, length), against)


def rows_of_part(part: Part) -> Iterator[Row]:
    """Yield the rows of a part, one by one."""
    columns = [part.rows[name].to_pylist() for name in _OF_A_ROW]
    others = against_of(part)
    for number, values in enumerate(zip(*columns, others, strict=True), part.first):
        row_id, code, content, styles, outputs, sha256, against = values
        yield Row(
            number, row_id, code, content, tuple(styles or ()), outputs or (), sha256 or (), against
        )


def against_of(part: Part) -> Sequence[Against | None]:
    """Return the other run's rows of a part."""
    if part.against is None:
        return [None] * part.rows.num_rows
    return [
        None
        if row["id"] is None
        else {
            name: json.loads(row[name]) if name == "error" else row[name]
            for name in _OF_THE_OTHER
            if row[name]
        }
        for row in part.against.to_pylist()
    ]
