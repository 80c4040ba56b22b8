"""Filter data: a few numbers per row, in files of their own."""

from __future__ import annotations

import base64
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from pipelines.ledger.score_facts import ScoreFacts
from pipelines.storage.urls import redact_uri
from pipelines.tools.report.links import short_name
from pipelines.tools.report.own_columns import FilterColumns, PickCodes
from pipelines.tools.report.records import worker_seconds
from pipelines.tools.report.row_table import Row
from pipelines.tools.report.values import visible

SECONDS = "seconds on the worker"
COMPARISONS = ("same", "different", "only_this", "only_other", "neither", "absent")


NumberKind = Literal["score", "own", "time", "psnr"]


class NumberColumn(NamedTuple):
    """A column that the page filters and orders by.

    Attributes:
        facts: name on the page, kind, name in the rows, minimum, mean and maximum; of a score also
            its meaning and the direction in which it gets better, if they are known.
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
    """Collects filter data in the order of the rows.

    Memory: 9 bytes per row, 8 for each number, and 1 for each column with few values.
    """

    def __init__(
        self, styles: Sequence[tuple[str, int]], columns: FilterColumns, *, compared: bool
    ) -> None:
        """Collect data for these styles (URI, number of rows) and columns."""
        self._styles = styles
        self._style_numbers = {uri: index for index, (uri, _) in enumerate(styles)}
        self._scores, self._own = columns.scores, columns.numbers
        self._picks = [PickCodes(name, values) for name, values in columns.picks.items()]
        self._compared = compared
        self._codes: dict[str, int] = {"": 0}
        self._sets: dict[tuple[int, ...], int] = {}
        self._code = array("H")
        self._set = array("I")
        self._comparison = array("B")
        self._flagged = array("B")
        self._numbers = [array("d") for _ in range(len(self._scores) + len(self._own) + 1)]
        self._shapes: Counter[tuple[int, int]] = Counter()

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
        for pick in self._picks:
            pick.add(record.shown["own"])
        scores, own = record.shown.get("scores", {}), record.shown["numbers"]
        values = [*map(scores.get, self._scores), *map(own.get, self._own)]
        values.append(worker_seconds(record.shown))
        for value, column in zip(values, self._numbers, strict=True):
            column.append(np.nan if value is None else value)
        if record.shown.get("width") and record.shown.get("height") and record.code is None:
            self._shapes[record.shown["width"], record.shown["height"]] += 1

    @property
    def aspect(self) -> float:
        """Width by height of most images, from 0.5 to 2; 1 without images."""
        if not self._shapes:
            return 1.0
        ((width, height), _), *_ = self._shapes.most_common(1)
        return round(min(2.0, max(0.5, width / height)), 4)

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
            "picks": [pick.facts() | {"code": _encoded(pick.rows, "u1")} for pick in self._picks],
        }
        if any(self._flagged):
            values["flagged"] = _encoded(self._flagged, "u1")
        if self._compared:
            values["comparison"] = _encoded(self._comparison, "u1")
        return values

    def numbers(self, described: Mapping[str, ScoreFacts]) -> list[NumberColumn]:
        """Return the columns that have at least one number; `described` has the known scores."""
        kinds: list[tuple[NumberKind, str]] = [("score", name) for name in self._scores]
        kinds += [("own", name) for name in self._own]
        named = zip([*kinds, ("time", SECONDS)], self._numbers, strict=True)
        columns = [number_column(kind, name, values) for (kind, name), values in named]
        return [_described(column, described) for column in columns if column is not None]


def number_column(kind: NumberKind, name: str, values: array[float]) -> NumberColumn | None:
    """Make a column from one number per row, NaN for none; returns None if all are NaN."""
    numbers = np.asarray(values)
    present = numbers[~np.isnan(numbers)]
    if not len(present):
        return None
    facts = {
        "name": visible(name, 200),
        "kind": kind,
        "of": visible(name),
        "min": float(present.min()),
        "mean": float(present.mean()),
        "max": float(present.max()),
    }
    return NumberColumn(facts, _encoded(values, "<f8"))


def _described(column: NumberColumn, known: Mapping[str, ScoreFacts]) -> NumberColumn:
    facts = column.facts
    if facts["kind"] != "score":
        return column
    score = known.get(facts["of"])
    if score is None:
        words = {"meaning": "", "better": "neither"}
    else:
        title, meaning = visible(score.title, 200), visible(score.meaning)
        words = {"name": title, "meaning": meaning, "better": score.better}
    return NumberColumn(facts | words, column.values)


def with_unique_names(facts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the facts of columns, so that a score and a column of the same name differ."""
    seen: Counter[str] = Counter()
    named = []
    for one in facts:
        seen[one["name"]] += 1
        again = seen[one["name"]]
        named.append(one if again == 1 else one | {"name": f"{one['name']} ({again})"})
    return named


def _encoded(values: array[Any] | bytearray, dtype: str) -> str:
    return base64.b64encode(
        (np.frombuffer(values, np.uint8) if isinstance(values, bytearray) else np.asarray(values))
        .astype(dtype)
        .tobytes()
    ).decode()
