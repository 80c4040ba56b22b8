"""The matrix of content images and styles: one picture per pair, in pages of content images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.index import UInt64
from pipelines.tools.report.data_files import DataFile, json_file
from pipelines.tools.report.pictures import Gallery, Picture, reference, results
from pipelines.tools.report.reference_keys import text_keys
from pipelines.tools.report.references import References
from pipelines.tools.report.row_table import (
    CONTENT_KEY,
    STYLES_KEY,
    Row,
    RowTable,
    keys_of_sets,
    row_at,
)
from pipelines.tools.report.values import visible

_STYLES = 12
_CONTENTS = 2400
_PER_PAGE = 12
_NO_ROW = -1  # also: no place

Counts = npt.NDArray[np.int64]


class Pair(NamedTuple):
    """The rows that share a content image and their styles.

    Attributes:
        styles: index of the combination of styles.
        rows: number of rows.
        shown: the first completed row, or the first row if all failed.
    """

    styles: int
    rows: int
    shown: Row


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """The content images and the combinations of styles in the matrix.

    Attributes:
        styles: combinations of styles (the columns), the most used first.
        contents: content images (the rows), the most used first.
        counts: `[contents, styles]`, the number of rows of each pair.
        numbers: `[contents, styles]`, the number of the row that is shown; -1 for none.
        rows: the rows that are shown, by their numbers.
    """

    styles: Sequence[tuple[str, ...]]
    contents: Sequence[str]
    counts: Counts
    numbers: Counts
    rows: pa.RecordBatch

    @property
    def pages(self) -> int:
        """Number of pages, each in a file of its own."""
        return -(-len(self.contents) // _PER_PAGE)

    def page(self, number: int) -> Iterator[tuple[str, list[Pair]]]:
        """Yield the content images of one page, numbered from 0, with their pairs."""
        known = np.unique(self.numbers[self.numbers != _NO_ROW])
        for place in range(len(self.contents))[number * _PER_PAGE : (number + 1) * _PER_PAGE]:
            numbers = self.numbers[place]
            styles = np.flatnonzero(numbers != _NO_ROW)
            at = np.searchsorted(known, numbers[styles])
            found = zip(styles.tolist(), at.tolist(), strict=True)
            yield (
                self.contents[place],
                [
                    Pair(
                        style,
                        int(self.counts[place, style]),
                        row_at(self.rows, row, int(numbers[style])),
                    )
                    for style, row in found
                ],
            )


def choose(table: RowTable) -> Matrix:
    """Choose the most used content images and styles; empty if no row has both."""
    styles = table.style_sets(_STYLES)
    contents = table.contents(styles, _CONTENTS) if styles else []
    counts, numbers = _pairs(table, contents, styles)
    rows = table.take(np.unique(numbers[numbers != _NO_ROW]))
    return Matrix(styles, contents, counts, numbers, rows)


def first_pictures(matrix: Matrix) -> Iterator[Picture]:
    """Yield the pictures of the first page, which gets thumbnails in a run of any size."""
    for styles in matrix.styles:
        yield from map(reference, styles)
    for content, pairs in matrix.page(0):
        yield reference(content)
        for pair in pairs:
            yield from islice(results(pair.shown.outputs, pair.shown.sha256, "run"), 1)


def matrix_files(matrix: Matrix, gallery: Gallery) -> Iterator[DataFile]:
    """Yield one data file per page."""
    for number in range(matrix.pages):
        references = References(gallery)
        columns = [[references.index(style) for style in styles] for styles in matrix.styles]
        rows = [
            {
                "content": references.index(content),
                "cells": [_cell(gallery, pair) for pair in pairs],
            }
            for content, pairs in matrix.page(number)
        ]
        values = {"refs": references.shown, "styles": columns, "rows": rows}
        yield json_file(f"matrix-{number}", values)


def _pairs(
    table: RowTable, contents: Sequence[str], styles: Sequence[tuple[str, ...]]
) -> tuple[Counts, Counts]:
    """Return for each content image and combination of styles its count, and the row to show."""
    shape = len(contents), len(styles)
    counts = np.zeros(shape[0] * shape[1], np.int64)
    completed, any_row = np.full_like(counts, _NO_ROW), np.full_like(counts, _NO_ROW)
    content_keys, styles_keys = text_keys(pa.array(contents, pa.string())), keys_of_sets(styles)
    first = 0
    for batch in table.columns("code", CONTENT_KEY, STYLES_KEY) if len(counts) else ():
        content = _places_in(content_keys, batch[CONTENT_KEY])
        style = _places_in(styles_keys, batch[STYLES_KEY])
        rows = np.flatnonzero((content >= 0) & (style >= 0))
        pairs = content[rows] * shape[1] + style[rows]
        counts += np.bincount(pairs, minlength=len(counts))
        done = batch["code"].is_null().to_numpy(zero_copy_only=False)[rows]
        _note_first(any_row, pairs, first + rows)
        _note_first(completed, pairs[done], first + rows[done])
        first += batch.num_rows
    shown = np.where(completed == _NO_ROW, any_row, completed)
    return counts.reshape(shape), shown.reshape(shape)


def _places_in(known: UInt64, keys: pa.Array) -> Counts:
    """Return the place of each key in known ones, `[n]`; -1 if it is absent."""
    order = np.argsort(known)
    values = keys.to_numpy()
    at = np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)
    places = order[at]
    return np.where(known[places] == values, places, _NO_ROW)


def _note_first(first: Counts, pairs: Counts, rows: Counts) -> None:
    """Note the first of the rows, which ascend, for each pair that has none yet."""
    found, at = np.unique(pairs, return_index=True)
    new = first[found] == _NO_ROW
    first[found[new]] = rows[at[new]]


def _cell(gallery: Gallery, pair: Pair) -> dict[str, Any]:
    row = pair.shown
    cell: dict[str, Any] = {
        "style": pair.styles,
        "rows": pair.rows,
        "row": row.number,
        "id": visible(row.id),
    }
    if row.code is not None:
        cell["code"] = visible(row.code)
    for picture in results(row.outputs, row.sha256, "run")[:1]:
        cell["image"] = gallery.shown(picture)
    return cell
