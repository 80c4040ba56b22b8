"""Filter data: a few numbers per row, in files of their own."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.storage.urls import redact_uri
from pipelines.tools.report.links import short_name
from pipelines.tools.report.records import worker_seconds
from pipelines.tools.report.row_table import Row
from pipelines.tools.report.values import visible

SECONDS = "seconds on the worker"
COMPARISONS = ("same", "different", "only_this", "only_other", "neither", "absent")


class NumberColumn(NamedTuple):
    """A column that the page filters and orders by.

    Attributes:
        facts: name, minimum and maximum.
        values: the numbers of all rows, as base64.
    """

    facts: dict[str, Any]
    values: str


def comparison(row: Row) -> str:
    """Compare a row with the same row of the other run; returns one of `COMPARISONS`."""
    other = row.against
    if other is None:
        return "absent"
    mine, theirs = row.record.code is None, "error" not in other
    if mine and theirs:
        return "same" if row.record.shown.get("sha256") == other.get("sha256") else "different"
    if mine:
        return "only_this"
    return "only_other" if theirs else "neither"


class Facets:
    """Collects filter data in the order of the rows; 9 to 81 bytes per row."""

    def __init__(
        self, styles: Sequence[tuple[str, int]], numbers: Sequence[str], *, compared: bool
    ) -> None:
        """Collect data for these styles (URI, number of rows) and columns of numbers."""
        self._styles = styles
        self._style_numbers = {uri: index for index, (uri, _) in enumerate(styles)}
        self._names = list(numbers)
        self._compared = compared
        self._codes: dict[str, int] = {"": 0}
        self._sets: dict[tuple[int, ...], int] = {}
        self._code = array("H")
        self._set = array("I")
        self._comparison = array("B")
        self._flagged = array("B")
        self._numbers = [array("d") for _ in range(len(self._names) + 1)]

    def add(self, row: Row) -> None:
        """Add the next row."""
        record = row.record
        self._code.append(self._codes.setdefault(record.code or "", len(self._codes)))
        known = (self._style_numbers.get(style) for style in record.styles)
        styles = tuple(sorted({style for style in known if style is not None}))
        self._set.append(self._sets.setdefault(styles, len(self._sets)))
        self._flagged.append("flags" in record.shown)
        if self._compared:
            self._comparison.append(COMPARISONS.index(comparison(row)))
        values = record.shown["numbers"]
        for name, column in zip(self._names, self._numbers, strict=False):
            column.append(values.get(name, np.nan))
        seconds = worker_seconds(record.shown)
        self._numbers[-1].append(np.nan if seconds is None else seconds)

    def comparisons(self) -> dict[str, int]:
        """Return the number of rows by comparison."""
        counts = np.bincount(np.asarray(self._comparison), minlength=len(COMPARISONS))
        return dict(zip(COMPARISONS, counts.tolist(), strict=True))

    def as_json(self) -> dict[str, Any]:
        """Return codes, styles and comparisons of all rows; arrays are base64, little-endian."""
        values: dict[str, Any] = {
            "codes": [visible(code) for code in self._codes],
            "code": _encoded(self._code, "<u2"),
            "styles": [
                {
                    "uri": visible(redact_uri(uri)),
                    "name": visible(short_name(redact_uri(uri)), 200),
                    "rows": rows,
                }
                for uri, rows in self._styles
            ],
            "sets": [list(styles) for styles in self._sets],
            "set": _encoded(self._set, "<u4"),
        }
        if any(self._flagged):
            values["flagged"] = _encoded(self._flagged, "u1")
        if self._compared:
            values["comparison"] = _encoded(self._comparison, "u1")
        return values

    def numbers(self) -> list[NumberColumn]:
        """Return the columns that have at least one number."""
        names = [*self._names, SECONDS]
        columns = map(number_column, names, self._numbers)
        return [column for column in columns if column is not None]


def number_column(name: str, values: array[float]) -> NumberColumn | None:
    """Make a column from one number per row, NaN for none; returns None if all are NaN."""
    numbers = np.asarray(values)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return None
    facts = {
        "name": visible(name, 200),
        "min": float(present.min()),
        "max": float(present.max()),
    }
    return NumberColumn(facts, _encoded(values, "<f8"))


def _encoded(values: array[Any], dtype: str) -> str:
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()
