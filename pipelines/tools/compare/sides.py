"""The scores of one output, by row."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import combinations
from typing import Any

import pyarrow as pa

from pipelines.errors import ReportError
from pipelines.ledger.records import Records
from pipelines.ledger.score_facts import ScoreFacts, read_score_facts
from pipelines.record import SCORES, columns_of_run
from pipelines.score_values import row_scores
from pipelines.storage.storage import Storage

_FAILED = -1
_COLUMNS = ("id", "status", "prompt", "content_image", "style_images")
_NAMES = ("content", "style", "prompt")
_SETS = {
    each: each for each in (frozenset(some) for n in range(4) for some in combinations(_NAMES, n))
}
"""One object for all rows with the same inputs."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two outputs that are compared.

    Attributes:
        uri: the output.
        facts: the meaning of its scores, by name.
        rows: the number of each row among the completed rows, by id; -1: the row failed.
        scores: the scores of the completed rows, by name, in their order; NaN: a row has none.
        references: a hash of the content and style images of each completed row.
        inputs: `content`, `style` and `prompt`, as far as each completed row has them.
    """

    uri: str
    facts: dict[str, ScoreFacts] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    scores: dict[str, array[float]] = field(default_factory=dict)
    references: list[bytes] = field(default_factory=list)
    inputs: list[frozenset[str]] = field(default_factory=list)

    @property
    def completed(self) -> int:
        """Number of completed rows."""
        return len(self.references)

    @property
    def failed(self) -> int:
        """Number of failed rows."""
        return len(self.rows) - self.completed

    def has(self, row_id: str) -> bool:
        """Return True if a row was completed."""
        return self.rows.get(row_id, _FAILED) != _FAILED

    def score(self, name: str, row_id: str) -> float:
        """Return the score of a completed row; NaN if it has none of this name."""
        values = self.scores.get(name)
        return math.nan if values is None else values[self.rows[row_id]]

    def identity(self, name: str) -> str | None:
        """Return the identity of the measure of a score; None without such a score."""
        facts = self.facts.get(name)
        return None if facts is None else facts.identity

    def expect(self, facts: ScoreFacts) -> None:
        """Prepare for a score: values by another measure are dropped."""
        if self.identity(facts.name) != facts.identity or facts.name not in self.scores:
            self.scores[facts.name] = array("d", [math.nan]) * self.completed
        self.facts[facts.name] = facts

    def lacks(self, row_id: str, names: Iterable[str]) -> bool:
        """Return True if a completed row lacks one of these scores, and has its inputs."""
        inputs = self.inputs[self.rows[row_id]]
        return any(
            math.isnan(self.score(name, row_id)) and inputs.issuperset(self.facts[name].needs)
            for name in names
        )

    def add_scores(self, row_id: str, found: Mapping[str, float | None]) -> None:
        """Set the scores that a completed row lacks."""
        number = self.rows[row_id]
        for name, value in found.items():
            if value is not None and math.isnan(self.scores[name][number]):
                self.scores[name][number] = value

    def _add(self, record: Mapping[str, Any]) -> None:
        if record["status"] != "completed":
            self.rows[record["id"]] = _FAILED
            return
        number = self.rows[record["id"]] = len(self.references)
        named = repr((record["content_image"], record["style_images"]))
        self.references.append(blake2b(named.encode(errors="replace"), digest_size=8).digest())
        self.inputs.append(_inputs(record))
        for name, value in row_scores(record.get(SCORES)).items():
            values = self.scores.setdefault(name, array("d"))
            values.extend([math.nan] * (number - len(values)))
            values.append(math.nan if value is None else value)

    def _fill_up(self) -> None:
        for values in self.scores.values():
            values.extend([math.nan] * (self.completed - len(values)))


def read_side(output: Storage) -> Side:
    """Read the scores of an output: about 100 bytes and 8 for each score, for each row.

    Raises:
        ReportError: it has no records.
        LedgerError, StorageError: they cannot be read.
    """
    records = Records(output)
    if not records.counts().records:
        raise ReportError(f"{output.uri()}: no records; check the path, or run it first")
    side = Side(output.uri(), dict(read_score_facts(output)))
    columns = [*_COLUMNS, *([SCORES] if SCORES in columns_of_run(records.schema) else [])]
    for batch in records.batches(columns):
        _take(side, batch)
    side._fill_up()  # noqa: SLF001 (its own module)
    return side


def _inputs(record: Mapping[str, Any]) -> frozenset[str]:
    given = {
        "content": record["content_image"],
        "style": record["style_images"],
        "prompt": (record["prompt"] or "").strip(),
    }
    return _SETS[frozenset(name for name, value in given.items() if value)]


def _take(side: Side, batch: pa.RecordBatch) -> None:
    for record in batch.to_pylist():
        side._add(record)  # noqa: SLF001 (its own module)
