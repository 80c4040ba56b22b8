"""Data files of the rows, which the page loads to show them, and of their texts for the search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pipelines.psnr import Distance
from pipelines.tools.report.distances import Distances
from pipelines.tools.report.facets import Facets, comparison
from pipelines.tools.report.own_columns import value_text
from pipelines.tools.report.pictures import Gallery, reference, results
from pipelines.tools.report.row_table import Row

ROWS_PER_FILE = 200
TEXTS_PER_FILE = 5000

DataFile = tuple[str, object]
"""The name of a data file, without extension, and its content as JSON values."""


class RowFiles:
    """Cuts the rows into data files; holds the rows and texts of one file at a time."""

    def __init__(
        self, gallery: Gallery, distances: Distances | None, texts: Sequence[str] = ()
    ) -> None:
        """Take the rows' pictures from `gallery`.

        Args:
            gallery: describes the pictures.
            distances: None without a run to compare with.
            texts: the user's columns that are searched, each in files of its own.
        """
        self._gallery = gallery
        self._distances = distances
        self._columns = list(texts)
        self._rows: list[dict[str, Any]] = []
        self._references = References(gallery)
        self._texts: list[str] = []
        self._ids: list[str] = []
        self._own: list[list[str]] = [[] for _ in self._columns]
        self._row_files = self._text_files = 0

    def cut(
        self, rows: Iterable[Row], facets: Facets, progress: Callable[[int], None]
    ) -> Iterator[DataFile]:
        """Yield the files of all rows, in order.

        Args:
            rows: all rows, in order.
            facets: each row is also added to it.
            progress: called with the number of rows so far.
        """
        for row in rows:
            facets.add(row)
            shown = self._shown(row)
            self._rows.append(shown)
            self._texts.append(self._text(shown))
            self._ids.append(row.record.id)
            for name, texts in zip(self._columns, self._own, strict=True):
                texts.append((value_text(shown["own"].get(name)) or "").lower())
            if len(self._rows) == ROWS_PER_FILE:
                yield self._rows_file()
            if len(self._texts) == TEXTS_PER_FILE:
                yield from self._texts_files()
            progress(row.number + 1)
        if self._rows:
            yield self._rows_file()
        if self._texts:
            yield from self._texts_files()

    def _shown(self, row: Row) -> dict[str, Any]:
        record = row.record
        hidden = ("outputs", "sha256", "numbers")
        values = {name: value for name, value in record.shown.items() if name not in hidden}
        if record.id != values["id"]:
            values["key"] = record.id
        values["images"] = [self._gallery.shown(one) for one in results(record.shown, "run")]
        if record.content is not None:
            values["content"] = self._references.index(record.content)
        values["styles"] = [self._references.index(style) for style in record.styles]
        distances = [] if self._distances is None else self._distances.take(row)
        if row.against is not None:
            values["against"] = self._against(row, row.against, distances)
        return values

    def _against(
        self, row: Row, other: dict[str, Any], distances: list[Distance | None]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {
            "images": [self._gallery.shown(one) for one in results(other, "other")],
            "state": comparison(row),
            "distances": [round(one, 2) if isinstance(one, float) else one for one in distances],
        }
        if "error" in other:
            values["error"] = other["error"]
        return values

    def _text(self, shown: dict[str, Any]) -> str:
        names = [self._references.name(index) for index in shown["styles"]]
        if "content" in shown:
            names.append(self._references.name(shown["content"]))
        message = (shown.get("error") or {}).get("message", "")
        return "\n".join([shown["id"], shown["prompt"], *names, message]).lower()

    def _rows_file(self) -> DataFile:
        file = f"rows-{self._row_files}", {"refs": self._references.shown, "rows": self._rows}
        self._row_files += 1
        self._rows, self._references = [], References(self._gallery)
        return file

    def _texts_files(self) -> Iterator[DataFile]:
        number = self._text_files
        yield f"texts-{number}", self._texts
        yield f"ids-{number}", self._ids
        for column, texts in enumerate(self._own):
            yield f"own-{column}-{number}", texts
        self._text_files += 1
        self._texts, self._ids = [], []
        self._own = [[] for _ in self._columns]


class References:
    """The distinct references of the rows in one file."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._index: dict[str, int] = {}
        self.shown: list[dict[str, Any]] = []

    def index(self, uri: str) -> int:
        """Return the index of a reference in `shown`; adds a new one."""
        if uri not in self._index:
            self._index[uri] = len(self.shown)
            self.shown.append(self._gallery.shown(reference(uri)))
        return self._index[uri]

    def name(self, index: int) -> str:
        """Return the short name of the reference."""
        name: str = self.shown[index]["name"]
        return name
