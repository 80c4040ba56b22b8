"""Measures the images of an output that exists, and adds the scores to its records.

Safe to interrupt and to repeat: records are written again batch by batch, and the next time the
ones with all scores are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from pipelines.errors import ConfigError, LeaseLostError
from pipelines.image_values import record_column
from pipelines.in_order import in_order
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Records, completed
from pipelines.record import SCORES, columns_of_run
from pipelines.score_values import ImageScores
from pipelines.storage.storage import Storage
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.scorer import Need
from pipelines.worker.scores.stored import StoredImages

_BATCH_ROWS = 256
_THREADS = 4
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Numbers of completed rows.

    Attributes:
        measured: rows whose records took new scores.
        known: rows that had all scores, and were left alone.
        lost: rows with an image that cannot be read; they were left alone.
    """

    measured: int = 0
    known: int = 0
    lost: int = 0

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        return ScoreCounts(
            self.measured + other.measured, self.known + other.known, self.lost + other.lost
        )


@dataclass(frozen=True, slots=True)
class OutputScorer:
    """Measures the images of one output.

    Attributes:
        output: the output.
        ledger: its records, opened by the holder of the lease.
        lease: the lease of the output.
        scores: the loaded scores.
        images: reads the images, and measures them with `scores`.
        again: measure all rows, also with all scores known.
    """

    output: Storage
    ledger: Ledger
    lease: Lease
    scores: Scores
    images: StoredImages
    again: bool = False

    def add_scores(self, on_rows: Callable[[int], None] = lambda _: None) -> ScoreCounts:
        """Measure the completed rows, and write their records again.

        Args:
            on_rows: called with the number of completed rows seen since the last call.

        Raises:
            LeaseLostError: another driver has taken over.
            LedgerError, StorageError: the records cannot be read or written.
        """
        total = ScoreCounts()
        for batch in Records(self.output).batches(batch_rows=_BATCH_ROWS):
            rows = completed(batch)
            counts, renewed = self._renewed(rows)
            if renewed is not None:
                if not self.lease.confirm():
                    raise LeaseLostError.of(self.output.uri())
                self.ledger.replace([renewed])
            total += counts
            on_rows(len(rows))
        return total

    def _renewed(self, rows: pa.RecordBatch) -> tuple[ScoreCounts, pa.RecordBatch | None]:
        """Return the records of a batch that take new scores, with them."""
        records: list[Record] = rows.select(columns_of_run(rows.schema)).to_pylist()
        wanted = [at for at, each in enumerate(records) if self.again or self._lacks(each)]
        measure = partial(self.images.scores_of, self.output)
        found = in_order(measure, (records[at] for at in wanted), _THREADS)
        taken = {
            at: _merged(records[at].get(SCORES), scores, replace=self.again)
            for at, scores in zip(wanted, found, strict=True)
            if scores is not None
        }
        counts = ScoreCounts(len(taken), len(records) - len(wanted), len(wanted) - len(taken))
        if not taken:
            return counts, None
        return counts, self._with(rows.take(pa.array(list(taken))), list(taken.values()))

    def _lacks(self, record: Record) -> bool:
        expected = self.scores.expected(_given(record))
        images = record.get(SCORES) or [None] * len(record["outputs"])
        return any((each or {}).get(name) is None for each in images for name in expected)

    def _with(self, rows: pa.RecordBatch, values: Sequence[list[ImageScores]]) -> pa.RecordBatch:
        names = dict.fromkeys(name for images in values for each in images for name in each)
        column = record_column(
            pa.field(SCORES, pa.struct([(name, pa.float64()) for name in names]))
        )
        time = rows.schema.field("created_at")
        columns = {field: rows[field.name] for field in rows.schema if field.name != SCORES}
        columns[column] = pa.array(values, column.type)
        columns[time] = pa.repeat(pa.scalar(self.ledger.stamp(), time.type), len(rows))
        return pa.RecordBatch.from_arrays([*columns.values()], schema=pa.schema([*columns]))


def check_is_free(output: Storage) -> None:
    """Check that the column of scores is not the user's own.

    Raises:
        ConfigError: the manifest has a column of its name.
        LedgerError, StorageError: the records cannot be read.
    """
    schema = Records(output).schema
    if SCORES in schema.names and SCORES not in columns_of_run(schema):
        raise ConfigError(
            f"{output.uri()}: the records have the manifest's column {SCORES!r}, which would hold "
            "the scores; rename it, or leave it out with manifest.keep_columns, and run again"
        )


def _given(record: Record) -> frozenset[Need]:
    """Return the inputs of a row."""
    given: dict[Need, object] = {
        "content": record["content_image"],
        "style": record["style_images"],
        "prompt": (record["prompt"] or "").strip(),
    }
    return frozenset(need for need, value in given.items() if value)


def _merged(
    before: Sequence[Any] | None, measured: Sequence[ImageScores], *, replace: bool
) -> list[ImageScores]:
    """Return all scores of each image; a null replaces a known value only if `replace`."""
    merged: list[ImageScores] = []
    for old, new in zip(before or [None] * len(measured), measured, strict=True):
        found = {name: value for name, value in new.items() if replace or value is not None}
        merged.append({**new, **(old or {}), **found})
    return merged
