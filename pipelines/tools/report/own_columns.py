"""The columns that the page filters: scores, numbers, columns with few values, and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.image_values import is_per_image
from pipelines.record import RECORD_NAMES, SCORES
from pipelines.score_values import row_scores
from pipelines.tools.report.row_numbers import RowNumbers
from pipelines.tools.report.values import number, visible

_MOST_NUMBERS = 8
_MOST_SCORES = 24
_MOST_OTHERS = 16
_MOST_VALUES = 40
MOST_TEXT = 200
"""Characters of the longest text that is picked or searched whole."""


@dataclass(frozen=True, slots=True)
class FilterColumns:
    """The columns of one output, by the control that they get.

    Attributes:
        scores: names of the scores.
        numbers: the user's columns of numbers.
        picks: the user's columns with few values, each with the texts of its values, sorted.
        texts: the user's other columns, which are searched.
    """

    scores: Sequence[str]
    numbers: Sequence[str]
    picks: Mapping[str, Sequence[str]]
    texts: Sequence[str]


def score_names(schema: pa.Schema) -> list[str]:
    """Return the names of the first scores in records with this schema; empty without scores."""
    if SCORES not in schema.names:
        return []
    column = schema.field(SCORES)
    kind = column.type.value_type if is_per_image(column) else column.type
    if not pa.types.is_struct(kind) or not all(pa.types.is_floating(one.type) for one in kind):
        return []
    return [one.name for one in kind][:_MOST_SCORES]


def number_names(schema: pa.Schema) -> list[str]:
    """Return the names of the user's first columns of numbers, or with one for each image."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    own = [field for field in schema if field.name not in RECORD_NAMES]
    types = {f.name: f.type.value_type if is_per_image(f) else f.type for f in own}
    named = [name for name, type_ in types.items() if any(kind(type_) for kind in kinds)]
    return named[:_MOST_NUMBERS]


def scores_of(cell: object) -> dict[str, float | None]:
    """Return the scores of a row by name, None for one that it lacks.

    Args:
        cell: its scores, or a list with those of each image, whose means are the row's.
    """
    images = [one for one in (cell if isinstance(cell, list) else [cell]) if isinstance(one, dict)]
    return {name: number(value) for name, value in row_scores(images).items()}


def value_text(value: Any) -> str | None:  # noqa: ANN401 (of any type that `shown` returns)
    """Return the text of a value, to pick or search it; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return visible(str(value), MOST_TEXT)


class OtherColumns:
    """Sorts the user's columns without numbers into lists of values and texts to search."""

    def __init__(self) -> None:
        self._values: dict[str, set[str] | None] = {}

    def add(self, columns: Mapping[str, pa.Array]) -> None:
        """Add the texts of a batch by column, null for none; see `cells.cell_texts`."""
        for name in self._in_order_of_appearance(columns):
            seen = self._values.setdefault(name, set())
            if seen is None:
                continue
            seen.update(pc.unique(columns[name]).drop_null().to_pylist())
            if len(seen) > _MOST_VALUES:
                self._values[name] = None

    def columns(self, scores: Sequence[str], numbers: Sequence[str]) -> FilterColumns:
        """Return these columns, and those of the others that have a value, the first ones."""
        others = list(self._values)[:_MOST_OTHERS]
        picks = {name: sorted(seen) for name in others if (seen := self._values[name])}
        texts = [name for name in others if self._values[name] is None]
        return FilterColumns(scores, numbers, picks, texts)

    def _in_order_of_appearance(self, columns: Mapping[str, pa.Array]) -> list[str]:
        """Return the columns with a value, in the order of their first rows with one."""
        first = {}
        for name, texts in columns.items():
            if texts.null_count < len(texts):
                first[name] = pc.index(texts.is_valid(), True).as_py()
        return sorted(first, key=lambda name: first[name])


class PickCodes:
    """The value of each row in one column with few values.

    Attributes:
        name: name of the column.
        rows: the number of each row's value, from 1; 0 for a row without one.
    """

    def __init__(self, name: str, values: Sequence[str], path: Path) -> None:
        """Take the texts of all values, and the path of the file for `rows`."""
        self.name = name
        self._texts = values
        self._counts = np.zeros(len(values) + 1, np.int64)
        self.rows = RowNumbers(path, np.uint8)

    def add(self, texts: pa.Array) -> None:
        """Add the texts of the next rows, null for none."""
        codes = pc.index_in(texts, value_set=pa.array(self._texts, pa.string()))
        codes = pc.if_else(texts.is_valid(), codes, None)
        known = pc.fill_null(pc.add(codes, 1), 0).to_numpy()
        self._counts += np.bincount(known, minlength=len(self._counts))
        self.rows.add(known)

    def facts(self) -> dict[str, Any]:
        """Return name, values with their numbers of rows, and number of rows without a value."""
        none, *counts = self._counts.tolist()
        values = [{"text": t, "rows": n} for t, n in zip(self._texts, counts, strict=True)]
        return {"name": visible(self.name, MOST_TEXT), "values": values, "none": none}
