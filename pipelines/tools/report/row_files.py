"""Data files of the rows, which the page loads to show and to search them.

The values of a column are together, so they compress well, and the text of a whole column is made
at once. `texts-N` has everything that a search looks at, `rows-N` all else, `ids-N` the ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tools.report.cells import text_json
from pipelines.tools.report.data_files import DataFile, bytes_file
from pipelines.tools.report.distances import Distances
from pipelines.tools.report.facets import Facets, comparison
from pipelines.tools.report.pictures import Gallery, results
from pipelines.tools.report.plain_columns import JSON, NESTED, TEXT
from pipelines.tools.report.references import References
from pipelines.tools.report.result_paths import ResultPaths
from pipelines.tools.report.row_table import Part, Row, rows_of_part, slice_of

ROWS_PER_FILE = 2000
IDS_PER_FILE = 10_000
_SEARCHED = ("prompt", "error", "id")
"""Columns of `texts-N`, beside the references."""


class RowFiles:
    """Cuts the rows into data files; holds one part of the table."""

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

    def cut(
        self, parts: Iterator[Part], facets: Facets, progress: Callable[[int], None]
    ) -> Iterator[DataFile]:
        """Yield the files of all rows, in order.

        Args:
            parts: all rows, in order; all parts but the last fill whole files.
            facets: each part is also added to it.
            progress: called with the number of rows so far.
        """
        for part in parts:
            facets.add(part)
            yield from self._row_files(part)
            yield from self._id_files(part)
            progress(part.first + part.rows.num_rows)

    def _row_files(self, part: Part) -> Iterator[DataFile]:
        size = ROWS_PER_FILE
        names = [
            name.removeprefix(JSON) for name in part.rows.schema.names if name.startswith(JSON)
        ]
        columns = {
            name: json_lists(part.rows[JSON + name], size) for name in names if name != "key"
        }
        against = self._against(part)
        if against is not None:
            columns["against"] = json_lists(against, size)
        paths = ResultPaths(self._gallery, part.rows)
        images = json_lists(paths.json, size)
        for number, start in enumerate(range(0, part.rows.num_rows, size)):
            shown = {name: lists[number] for name, lists in columns.items()}
            few = slice_of(part, start, size).rows
            yield self._texts_file(few, (part.first + start) // size, shown)
            members = [
                *_members({n: text for n, text in shown.items() if n not in _SEARCHED}),
                ("images", _object([*paths.places(), ("of", images[number])])),
            ]
            yield _file(f"rows-{(part.first + start) // size}", members)

    def _texts_file(
        self, rows: pa.RecordBatch, number: int, shown: dict[str, str | None]
    ) -> DataFile:
        references = References(self._gallery)
        members = [
            ("content", _contents(rows["content"], references)),
            ("styles", _styles(rows["styles"], references)),
            *((name, shown[name]) for name in _SEARCHED),
            ("refs", json.dumps(references.shown)),
        ]
        return _file(f"texts-{number}", members)

    def _id_files(self, part: Part) -> Iterator[DataFile]:
        """Yield the ids, and the texts of the user's columns that are searched."""
        columns = {"ids": part.rows[JSON + "key"]}
        for index, name in enumerate(self._columns):
            columns[f"own-{index}"] = text_json(pc.fill_null(part.rows[TEXT + name], ""))
        for name, column in columns.items():
            for number, text in enumerate(json_lists(column, IDS_PER_FILE)):
                yield _file(f"{name}-{part.first // IDS_PER_FILE + number}", [("of", text)])

    def _against(self, part: Part) -> pa.Array | None:
        """Return the JSON of the other run's rows."""
        if self._distances is None:
            return None
        return pa.array([self._against_row(row) for row in rows_of_part(part)], pa.string())

    def _against_row(self, row: Row) -> str | None:
        distances = [] if self._distances is None else self._distances.take(row)
        other = row.against
        if other is None:
            return None
        pictures = results(other.get("outputs"), other.get("sha256"), "other")
        values: dict[str, Any] = {
            "images": [self._gallery.shown(one) for one in pictures],
            "state": comparison(row),
            "distances": [round(one, 2) if isinstance(one, float) else one for one in distances],
        }
        if "error" in other:
            values["error"] = other["error"]
        return json.dumps(values)


def json_lists(column: pa.Array, size: int) -> list[str | None]:
    """Join the JSON of cells to one list for each file.

    Args:
        column: the JSON of each cell, null for none.
        size: rows of a file.

    Returns:
        For each file a list; `{"all": …}` if all cells of the file are the same, and None if all
        are null.
    """
    count = len(column)
    bounds = [*range(0, count, size), count]
    if column.null_count == count:
        return [None] * (len(bounds) - 1)
    filled = pc.fill_null(column, "null")
    lists = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), filled)
    joined = pc.binary_join(lists, ",").to_pylist()
    firsts = filled.take(pa.array(bounds[:-1])).to_pylist()
    found = zip(joined, firsts, np.diff(bounds).tolist(), strict=True)
    return [_shortest(text, first, rows) for text, first, rows in found]


def _shortest(text: str, first: str, rows: int) -> str | None:
    is_constant = len(text) == rows * (len(first) + 1) - 1 and text == ",".join([first] * rows)
    if not is_constant:
        return f"[{text}]"
    return None if first == "null" else f'{{"all":{first}}}'


def _members(shown: dict[str, str | None]) -> list[tuple[str, str | None]]:
    """Nest the columns whose names are paths, such as `own:NAME`."""
    groups: dict[str, list[tuple[str, str | None]]] = {name: [] for name in NESTED}
    plain = []
    for name, text in shown.items():
        group, colon, member = name.partition(":")
        if colon:
            groups[group].append((member, text))
        else:
            plain.append((name, text))
    return [*plain, *((name, _object(members)) for name, members in groups.items() if members)]


def _object(members: Sequence[tuple[str, str | None]]) -> str:
    present = (f"{json.dumps(name)}:{text}" for name, text in members if text is not None)
    return f"{{{','.join(present)}}}"


def _file(name: str, members: Sequence[tuple[str, str | None]]) -> DataFile:
    return bytes_file(name, _object(members).encode("utf-8", "surrogatepass"))


def _contents(contents: pa.Array, references: References) -> str | None:
    if contents.null_count == len(contents):
        return None
    coded = contents.dictionary_encode()
    known = references.indices(coded.dictionary.to_pylist())
    return json.dumps([None if one is None else known[one] for one in coded.indices.to_pylist()])


def _styles(styles: pa.Array, references: References) -> str | None:
    """Return the styles of each row: a number if it has one style, a list if it has several."""
    coded = pc.list_flatten(styles).dictionary_encode()
    if not len(coded):
        return None
    known = references.indices(coded.dictionary.to_pylist())
    flat = [known[one] for one in coded.indices.to_pylist()]
    lengths: npt.NDArray[np.int32] = pc.fill_null(pc.list_value_length(styles), 0).to_numpy()
    if (lengths == 1).all():
        return json.dumps(flat)
    ends = np.cumsum(lengths).tolist()
    lists = [flat[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
    return json.dumps([one[0] if len(one) == 1 else one for one in lists])
