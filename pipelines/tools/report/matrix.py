"""The matrix of content images and styles: one picture per pair, in pages of content images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pipelines.tools.report.data_files import DataFile, json_file
from pipelines.tools.report.pictures import Gallery, Picture, reference, results
from pipelines.tools.report.references import References
from pipelines.tools.report.row_table import RowTable
from pipelines.tools.report.values import visible

_STYLES = 12
_CONTENTS = 2400
_PER_PAGE = 12


@dataclass(frozen=True, slots=True)
class Matrix:
    """The content images and the combinations of styles in the matrix.

    Attributes:
        styles: combinations of styles (the columns), the most used first.
        contents: content images (the rows), the most used first.
    """

    styles: Sequence[tuple[str, ...]]
    contents: Sequence[str]

    @property
    def pages(self) -> int:
        """Number of pages, each in a file of its own."""
        return -(-len(self.contents) // _PER_PAGE)

    def page(self, number: int) -> Sequence[str]:
        """Return the content images of one page, numbered from 0."""
        return self.contents[number * _PER_PAGE : (number + 1) * _PER_PAGE]


def choose(table: RowTable) -> Matrix:
    """Choose the most used content images and styles; empty if no row has both."""
    styles = table.style_sets(_STYLES)
    return Matrix(styles, table.contents(styles, _CONTENTS) if styles else [])


def first_pictures(matrix: Matrix, table: RowTable) -> Iterator[Picture]:
    """Yield the pictures of the first page, which gets thumbnails in a run of any size."""
    for styles in matrix.styles:
        yield from map(reference, styles)
    for content in matrix.page(0):
        yield reference(content)
        for pair in table.pairs(content, matrix.styles):
            row = table.row(pair.number)
            yield from islice(results(row.outputs, row.sha256, "run"), 1)


def matrix_files(matrix: Matrix, table: RowTable, gallery: Gallery) -> Iterator[DataFile]:
    """Yield one data file per page."""
    for number in range(matrix.pages):
        references = References(gallery)
        columns = [[references.index(style) for style in styles] for styles in matrix.styles]
        rows = [
            {
                "content": references.index(content),
                "cells": [
                    _cell(table, gallery, pair.styles, pair.rows, pair.number)
                    for pair in table.pairs(content, matrix.styles)
                ],
            }
            for content in matrix.page(number)
        ]
        values = {"refs": references.shown, "styles": columns, "rows": rows}
        yield json_file(f"matrix-{number}", values)


def _cell(table: RowTable, gallery: Gallery, style: int, rows: int, number: int) -> dict[str, Any]:
    row = table.row(number)
    cell: dict[str, Any] = {"style": style, "rows": rows, "row": number, "id": visible(row.id)}
    if row.code is not None:
        cell["code"] = visible(row.code)
    for picture in results(row.outputs, row.sha256, "run")[:1]:
        cell["image"] = gallery.shown(picture)
    return cell
