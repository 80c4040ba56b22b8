"""Facts about completed rows for the dataset card, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("outputs", "model", "preset", "width", "height", "num_steps", "guidance")


@dataclass(frozen=True, slots=True)
class Span:
    """The range of some numbers, both ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True, slots=True)
class CompletedFacts:
    """Models, sizes and parameters of completed rows.

    Attributes:
        models: number of rows by model name and preset.
        sizes: number of rows by width and height in pixels.
        spans: ranges of `num_steps` and `guidance`.
        extensions: extensions of the image files, sorted, without dots.
    """

    models: Mapping[tuple[str, str], int]
    sizes: Mapping[tuple[int, int], int]
    spans: Mapping[str, Span]
    extensions: tuple[str, ...]


@dataclass(slots=True)
class FactsTally:
    """Collects `CompletedFacts`."""

    _models: Counter[tuple[str, str]] = field(default_factory=Counter)
    _sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    _spans: dict[str, Span] = field(default_factory=dict)
    _extensions: set[str] = field(default_factory=set)

    def add(self, records: pa.RecordBatch) -> None:
        """Add completed rows with `COLUMNS`."""
        if not records.num_rows:
            return
        self._models.update(_pairs(records, "model", "preset"))
        self._sizes.update(_pairs(records, "width", "height"))
        outputs = pc.list_flatten(records["outputs"])
        endings = pc.extract_regex(outputs, r"\.(?P<ending>[^./]+)$").field("ending")
        self._extensions.update(pc.unique(endings).drop_null().to_pylist())
        for name in ("num_steps", "guidance"):
            found = pc.min_max(records[name]).as_py()
            if found["min"] is None:
                continue
            known = self._spans.get(name, Span(found["min"], found["max"]))
            low, high = min(known.low, found["min"]), max(known.high, found["max"])
            self._spans[name] = Span(low, high)

    def facts(self) -> CompletedFacts:
        """Return the facts; counts have the most frequent first."""
        return CompletedFacts(
            dict(self._models.most_common()),
            dict(self._sizes.most_common()),
            dict(self._spans),
            tuple(sorted(self._extensions)),
        )


def _pairs(records: pa.RecordBatch, first: str, second: str) -> list[tuple[Any, Any]]:
    return list(zip(records[first].to_pylist(), records[second].to_pylist(), strict=True))
