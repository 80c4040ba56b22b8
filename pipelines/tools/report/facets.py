"""Filter data: a few numbers per row, in files that the page loads when a filter needs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.score_facts import ScoreFacts
from pipelines.storage.urls import redact_uri
from pipelines.tools.report.data_files import DataFile, codes_file, json_file, without_nan
from pipelines.tools.report.links import short_name
from pipelines.tools.report.own_columns import FilterColumns, PickCodes
from pipelines.tools.report.plain_columns import OWN_NUMBER, SCORE, SECONDS, TEXT
from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.row_table import Part, Row, RowTable, rows_of_part
from pipelines.tools.report.style_sets import StyleSets
from pipelines.tools.report.values import visible

SECONDS_TITLE = "seconds on the worker"
COMPARISONS = ("same", "different", "only_this", "only_other", "neither", "absent")


NumberKind = Literal["score", "own", "time", "psnr"]


class NumberColumn(NamedTuple):
    """A column that the page filters and orders by.

    Attributes:
        facts: name on the page, kind, name in the rows, minimum, mean and maximum; of a score also
            its meaning and the direction in which it gets better, if they are known.
        values: the numbers of all rows; NaN for none.
    """

    facts: dict[str, Any]
    values: RowNumbers[np.float64]


def comparison(row: Row) -> str:
    """Compare a row with the same row of the other run; returns one of `COMPARISONS`."""
    other = row.against
    if other is None:
        return "absent"
    mine, theirs = row.code is None, "error" not in other
    if mine and theirs:
        same = list(row.sha256) == (other.get("sha256") or [])
        return "same" if same else "different"
    if mine:
        return "only_this"
    return "only_other" if theirs else "neither"


class Facets:
    """Collects filter data in the order of the rows, in temporary files.

    Memory: while `numbers` works, up to 17 bytes for each row.
    """

    def __init__(
        self, table: RowTable, most_styles: int, columns: FilterColumns, *, compared: bool
    ) -> None:
        """Collect data of these columns, and of the `most_styles` most used styles."""
        folder = table.folder
        self._styles = table.styles(most_styles)
        self._sets = StyleSets([uri for uri, _ in self._styles], folder)
        self._scores, self._own = columns.scores, columns.numbers
        picks = enumerate(columns.picks.items())
        self._picks = [PickCodes(name, values, folder / f"pick-{n}") for n, (name, values) in picks]
        self._codes: dict[str, int] = {"": 0}
        self._code = RowNumbers(folder / "code", np.uint16)
        self._comparison = RowNumbers(folder / "comparison", np.uint8) if compared else None
        self._flagged, self._has_flagged = RowNumbers(folder / "flagged", np.uint8), False
        names = [
            *(SCORE + name for name in self._scores),
            *(OWN_NUMBER + name for name in self._own),
            SECONDS,
        ]
        self._numbers = {
            name: RowNumbers(folder / f"numbers-{n}", np.float64) for n, name in enumerate(names)
        }
        self._shapes: Counter[tuple[int, int]] = Counter()

    def add(self, part: Part) -> None:
        """Add the next rows."""
        rows = part.rows
        coded = pc.fill_null(rows["code"], "").dictionary_encode()
        names = coded.dictionary.to_pylist()
        known = [self._codes.setdefault(code, len(self._codes)) for code in names]
        self._code.add(np.array(known, np.uint16)[coded.indices.to_numpy()])
        flagged = rows["flagged"].to_numpy(zero_copy_only=False)
        self._has_flagged = self._has_flagged or bool(flagged.any())
        self._flagged.add(flagged)
        self._sets.add(rows["styles"])
        if self._comparison is not None:
            found = [COMPARISONS.index(comparison(row)) for row in rows_of_part(part)]
            self._comparison.add(np.array(found, np.uint8))
        for pick in self._picks:
            pick.add(rows[TEXT + pick.name])
        for name, numbers in self._numbers.items():
            numbers.add(rows[name].to_numpy(zero_copy_only=False))
        self._add_shapes(rows)

    def _add_shapes(self, rows: pa.RecordBatch) -> None:
        sides = pa.table({name: rows[name] for name in ("width", "height")}).drop_null()
        for shape in sides.group_by(["width", "height"]).aggregate([([], "count_all")]).to_pylist():
            if shape["width"] and shape["height"]:
                self._shapes[shape["width"], shape["height"]] += shape["count_all"]

    @property
    def aspect(self) -> float:
        """Width by height of most images, from 0.5 to 2; 1 without images."""
        if not self._shapes:
            return 1.0
        ((width, height), _), *_ = self._shapes.most_common(1)
        return round(min(2.0, max(0.5, width / height)), 4)

    def comparisons(self) -> dict[str, int]:
        """Return the number of rows by comparison."""
        counts = np.zeros(len(COMPARISONS), np.int64)
        for piece in () if self._comparison is None else self._comparison.pieces():
            counts += np.bincount(piece, minlength=len(COMPARISONS))
        return dict(zip(COMPARISONS, counts.tolist(), strict=True))

    def files(self) -> Iterator[DataFile]:
        """Yield what the filters offer, and in files of their own the numbers of all rows."""
        values: dict[str, Any] = {
            "codes": [visible(code) for code in self._codes],
            "styles": [
                {
                    "uri": visible(redact_uri(uri)),
                    "name": visible(short_name(redact_uri(uri)), 200),
                    "rows": rows,
                }
                for uri, rows in self._styles
            ],
            "picks": [pick.facts() for pick in self._picks],
            "flagged": self._has_flagged,
        }
        yield json_file("facets", values)
        yield codes_file("of-code", self._code.pieces)
        yield json_file("sets", self._sets.different)
        yield codes_file("of-set", self._sets.rows.pieces)
        for index, pick in enumerate(self._picks):
            yield codes_file(f"of-pick-{index}", pick.rows.pieces)
        if self._has_flagged:
            yield codes_file("of-flagged", self._flagged.pieces)
        if self._comparison is not None:
            yield codes_file("of-comparison", self._comparison.pieces)

    def numbers(self, described: Mapping[str, ScoreFacts]) -> list[NumberColumn]:
        """Return the columns that have at least one number; `described` has the known scores."""
        kinds: list[tuple[NumberKind, str]] = [("score", name) for name in self._scores]
        kinds += [("own", name) for name in self._own]
        named = zip([*kinds, ("time", SECONDS_TITLE)], self._numbers.values(), strict=True)
        columns = [number_column(kind, name, values) for (kind, name), values in named]
        return [_described(column, described) for column in columns if column is not None]


def number_column(
    kind: NumberKind, name: str, numbers: RowNumbers[np.float64]
) -> NumberColumn | None:
    """Make a column from one number per row, NaN for none; returns None if all are NaN."""
    present = without_nan(numbers.all())
    if not len(present):
        return None
    facts = {
        "name": visible(name, 200),
        "kind": kind,
        "of": visible(name),
        "min": float(present.min()),
        "mean": _mean(present),
        "max": float(present.max()),
    }
    return NumberColumn(facts, numbers)


def _mean(numbers: npt.NDArray[np.float64]) -> float:
    with np.errstate(over="ignore"):
        mean = numbers.mean()
    # The largest numbers stand for missing ones in some tables; their sum is infinite.
    return float(mean if np.isfinite(mean) else (numbers / len(numbers)).sum())


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
