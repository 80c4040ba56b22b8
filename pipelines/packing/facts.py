"""Facts about completed rows for the dataset card, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.keys.index import halves_of, row_keys
from pipelines.ledger.licences import COLUMNS as OF_LICENCES
from pipelines.ledger.licences import LicenceTally
from pipelines.record import MODEL_LICENCE

COLUMNS = (
    *("outputs", "sha256", "model", "preset", "width", "height", "num_steps", "guidance"),
    *(MODEL_LICENCE, *OF_LICENCES),
)


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
        licences: number of different references by licence, of which one may have several;
            `unknown` if they state none.
        wishes: number of different references whose owners do not want them used for AI.
        model_licences: licences of the base models, sorted.
        images: 32 hex digits that follow from the SHA-256 of each image, in any order.
    """

    models: Mapping[tuple[str, str], int]
    sizes: Mapping[tuple[int, int], int]
    spans: Mapping[str, Span]
    extensions: tuple[str, ...]
    images: str
    licences: Mapping[str, int] = field(default_factory=dict)
    wishes: int = 0
    model_licences: tuple[str, ...] = ()


@dataclass(slots=True)
class FactsTally:
    """Collects `CompletedFacts`."""

    _models: Counter[tuple[str, str]] = field(default_factory=Counter)
    _sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    _spans: dict[str, Span] = field(default_factory=dict)
    _extensions: set[str] = field(default_factory=set)
    _images: tuple[int, int] = (0, 0)
    _licences: LicenceTally = field(default_factory=LicenceTally)
    _model_licences: set[str] = field(default_factory=set)

    def add(self, records: pa.RecordBatch) -> None:
        """Add completed rows with `COLUMNS`."""
        if not records.num_rows:
            return
        self._models.update(_pairs(records, "model", "preset"))
        self._sizes.update(_pairs(records, "width", "height"))
        self._licences.add(records)
        self._model_licences.update(pc.unique(records[MODEL_LICENCE]).drop_null().to_pylist())
        outputs = pc.list_flatten(records["outputs"])
        endings = pc.extract_regex(outputs, r"\.(?P<ending>[^./]+)$").field("ending")
        self._extensions.update(pc.unique(endings).drop_null().to_pylist())
        self._add_images(pc.list_flatten(records["sha256"]))
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
            "".join(f"{half:016x}" for half in self._images),
            self._licences.counts(),
            self._licences.wishes,
            tuple(sorted(self._model_licences)),
        )

    def _add_images(self, sha256: pa.Array) -> None:
        # A sum does not depend on the order, which differs between the parts of the records.
        halves = halves_of(row_keys(sha256.cast(pa.binary()).to_pylist()))
        sums = (int(half.sum(dtype=np.uint64)) for half in halves)
        high, low = ((old + new) % 2**64 for old, new in zip(self._images, sums, strict=True))
        self._images = (high, low)


def _pairs(records: pa.RecordBatch, first: str, second: str) -> list[tuple[Any, Any]]:
    return list(zip(records[first].to_pylist(), records[second].to_pylist(), strict=True))
