"""The columns that the page filters: scores, numbers, columns with few values, and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.image_values import is_per_image
from pipelines.record import RECORD_NAMES, SCORES
from pipelines.score_values import row_scores
from pipelines.tools.report.values import number, visible

_MOST_NUMBERS = 8
_MOST_SCORES = 24
_MOST_OTHERS = 16
_MOST_VALUES = 40
_MOST_TEXT = 200


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
    """Return the names of the scores in records with this schema; empty without scores."""
    if SCORES not in schema.names:
        return []
    column = schema.field(SCORES)
    kind = column.type.value_type if is_per_image(column) else column.type
    if not pa.types.is_struct(kind) or not all(pa.types.is_floating(one.type) for one in kind):
        return []
    return [one.name for one in kind]


def number_names(schema: pa.Schema) -> list[str]:
    """Return the names of the user's columns of numbers, and of those with one for each image."""
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    own = [field for field in schema if field.name not in RECORD_NAMES]
    types = {f.name: f.type.value_type if is_per_image(f) else f.type for f in own}
    return [name for name, type_ in types.items() if any(kind(type_) for kind in kinds)]


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
    return visible(str(value), _MOST_TEXT)


class OtherColumns:
    """Sorts the user's columns without numbers into lists of values and texts to search."""

    def __init__(self) -> None:
        self._values: dict[str, set[str] | None] = {}

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the values of rows by column, as the page shows them."""
        for row in rows:
            for name, value in row.items():
                seen = self._values.setdefault(name, set())
                text = value_text(value)
                if seen is not None and text is not None:
                    seen.add(text)
                    if len(seen) > _MOST_VALUES:
                        self._values[name] = None

    def columns(self, scores: Sequence[str], numbers: Sequence[str]) -> FilterColumns:
        """Return all columns that have a value, the first ones of each kind."""
        numbers = numbers[:_MOST_NUMBERS]
        shown = {visible(name) for name in numbers}
        others = [name for name in self._values if name not in shown][:_MOST_OTHERS]
        picks = {name: sorted(seen) for name in others if (seen := self._values[name])}
        texts = [name for name in others if self._values[name] is None]
        return FilterColumns(scores[:_MOST_SCORES], numbers, picks, texts)


class PickCodes:
    """The value of each row in one column with few values; 1 byte per row."""

    def __init__(self, name: str, values: Sequence[str]) -> None:
        self._name = name
        self._texts = values
        self._codes = {text: code for code, text in enumerate(values, 1)}
        self.rows = bytearray()

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the next row's columns, as the page shows them."""
        self.rows.append(self._codes.get(value_text(row.get(self._name)) or "", 0))

    def facts(self) -> dict[str, Any]:
        """Return name, values with their numbers of rows, and number of rows without a value."""
        counts = Counter(self.rows)
        values = [{"text": text, "rows": counts[code]} for code, text in enumerate(self._texts, 1)]
        return {"name": visible(self._name, _MOST_TEXT), "values": values, "none": counts[0]}
