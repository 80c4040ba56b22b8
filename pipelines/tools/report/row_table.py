"""The rows of a report in the order of their ids: joined with another run's, and counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tools.report.most_used import KeyCounts, Named, most_used
from pipelines.tools.report.reference_keys import NONE, list_keys, text_keys
from pipelines.tools.report.sorted_batches import IdOrder, SortedBatches

CONTENT_KEY, STYLES_KEY = "content_key", "styles_key"
"""Columns that the table adds: hashes of the content image and of the styles of a row."""
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


class RowTable:
    """Takes plain columns in any order; after `sort`, reads them in the order of the ids.

    Memory: 16 bytes for each different style and combination of styles; the rest is in temporary
    files, about 0.6 kB for a row, and twice as much while it sorts.
    """

    def __init__(self, folder: Path) -> None:
        """Create a table in `folder`, which the caller removes."""
        self.folder = folder
        self._rows = SortedBatches(folder, "rows")
        self._other = SortedBatches(folder, "other")
        self._style_uses, self._set_uses = KeyCounts(), KeyCounts()

    def expect(self, order: IdOrder) -> None:
        """Take the run's rows in this order; without this call, all are sorted at once."""
        self._rows.expect(order)

    def expect_other(self, order: IdOrder) -> None:
        """Take the other run's rows in this order; see `expect`."""
        self._other.expect(order)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of the run."""
        contents, styles = text_keys(batch["content"]), list_keys(batch["styles"])
        self._style_uses.add(text_keys(pc.list_flatten(batch["styles"])))
        self._set_uses.add(styles[(contents != NONE) & (styles != NONE)])
        keys = {CONTENT_KEY: contents, STYLES_KEY: styles}
        for name, values in keys.items():
            batch = batch.append_column(name, pa.array(values))
        self._rows.add(batch)

    def add_other(self, batch: pa.RecordBatch) -> None:
        """Add rows of the run to compare with: `id`, `outputs`, `sha256`, and `error` as JSON."""
        self._other.add(batch)

    def sort(self) -> None:
        """Sort the rows by id, after all were added."""
        self._rows.sort()
        self._other.sort()

    def __len__(self) -> int:
        return self._rows.rows

    @property
    def other_rows(self) -> int:
        """The number of the other run's rows."""
        return self._other.rows

    def parts(self) -> Iterator[Part]:
        """Yield all rows in order."""
        first = 0
        for rows in self._rows.parts.all():
            yield Part(first, rows, self._joined(rows["id"]) if self._other.rows else None)
            first += rows.num_rows

    def columns(self, *names: str) -> Iterator[pa.RecordBatch]:
        """Yield some columns of all rows, in order; reads no others."""
        return self._rows.parts.all(names)

    def rows(self, first: int | None = None) -> Iterator[Row]:
        """Yield the rows in order: the first `first` rows, or all."""
        return islice((row for part in self.parts() for row in rows_of_part(part)), first)

    def take(self, numbers: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Return the columns of rows whose numbers ascend, for `row_at`."""
        return self._rows.parts.take(numbers, _OF_A_ROW)

    def styles(self, most: int) -> list[tuple[str, int]]:
        """Return the most used styles, each with its number of uses."""
        flat = (pc.list_flatten(batch["styles"]) for batch in self.columns("styles"))
        return most_used(self._style_uses, most, (named_texts(text_keys(one), one) for one in flat))

    def style_sets(self, most: int) -> list[tuple[str, ...]]:
        """Return the most used combinations of styles among rows with a content image."""

        def named(batch: pa.RecordBatch) -> Named:
            return Named(
                batch[STYLES_KEY].to_numpy(),
                lambda rows: list(map(tuple, batch["styles"].take(pa.array(rows)).to_pylist())),
            )

        found: list[tuple[tuple[str, ...], int]]
        found = most_used(self._set_uses, most, map(named, self.columns("styles", STYLES_KEY)))
        return [styles for styles, _ in found]

    def contents(self, styles: Iterable[tuple[str, ...]], most: int) -> list[str]:
        """Return the most used content images among rows with one of these combinations."""
        wanted = keys_of_sets(styles)
        uses = KeyCounts()
        for batch in self.columns(CONTENT_KEY, STYLES_KEY):
            contents = batch[CONTENT_KEY].to_numpy()
            uses.add(contents[(contents != NONE) & np.isin(batch[STYLES_KEY].to_numpy(), wanted)])
        named = (
            named_texts(batch[CONTENT_KEY].to_numpy(), batch["content"])
            for batch in self.columns("content", CONTENT_KEY)
        )
        found: list[tuple[str, int]] = most_used(uses, most, named)
        return [content for content, _ in found]

    def _joined(self, ids: pa.Array) -> pa.Table:
        """Return the other run's rows with these sorted ids, null for none."""
        columns = ["id", *_OF_THE_OTHER]
        parts = list(self._other.parts.between(ids[0].as_py(), ids[-1].as_py()))
        if not parts:
            schema = self._other.parts.schema
            return pa.table({n: pa.nulls(len(ids), schema.field(n).type) for n in columns})
        there = pa.Table.from_batches(parts).select(columns).combine_chunks()
        return there.take(pc.index_in(ids, value_set=there["id"].combine_chunks()))


def named_texts(keys: npt.NDArray[np.uint64], texts: pa.Array) -> Named:
    """Return keys, `[n]`, with their texts as names."""
    return Named(keys, lambda rows: texts.take(pa.array(rows)).to_pylist())


def keys_of_sets(sets: Iterable[Sequence[str]]) -> npt.NDArray[np.uint64]:
    """Return the keys of combinations of styles, `[n]`."""
    return list_keys(pa.array([list(one) for one in sets], pa.list_(pa.string())))


def row_at(rows: pa.RecordBatch, place: int, number: int) -> Row:
    """Return a row of `RowTable.take`, without the other run's.

    Args:
        rows: the rows.
        place: its place in them.
        number: its number.
    """
    (row,) = rows_of_part(Part(number, rows.slice(place, 1), None))
    return row


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
