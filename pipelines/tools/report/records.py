"""Converts records to the rows of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.shown import rows_of
from pipelines.fields.field import Field
from pipelines.fields.kinds import TEXT
from pipelines.fields.table import RECORDED_FIELDS
from pipelines.image_values import is_per_image, lowest
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.ledger import iter_records
from pipelines.ledger.records import Records
from pipelines.record import NSFW_CONTENTS, RECORD_NAMES, SCORES
from pipelines.storage.storage import Storage
from pipelines.tools.report.own_columns import (
    FilterColumns,
    OtherColumns,
    number_names,
    score_names,
    scores_of,
)
from pipelines.tools.report.row_table import RowRecord, RowTable
from pipelines.tools.report.summary import Tally
from pipelines.tools.report.values import number, shown, visible

_OTHER_COLUMNS = ("id", "status", "outputs", "sha256", "error")
_PLAIN = ("attempt", "prompt_truncated")
_TEXTS = ("model", "preset", "run_id", "worker", "device")
_REQUEST = tuple(field for field in RECORDED_FIELDS if not field.kind.is_reference)
_ONE_VALUE = tuple(f for f in _REQUEST if not f.kind.is_list and f.name != "prompt")
FACTS: tuple[tuple[str, str], ...] = (
    *((field.name, field.title or field.name) for field in _ONE_VALUE),
    *((name, name) for name in ("model", "preset", "device", "worker", "attempt")),
    ("created_at", "recorded"),
    ("run_id", "run"),
)
"""The values that the page lists for a row, each with its title."""


def load(run: Storage, table: RowTable, tally: Tally) -> tuple[FilterColumns, LedgerCounts]:
    """Read the records into `table` and `tally`.

    Returns:
        The columns that the page filters, and the counts of the records.
    """
    others, records = OtherColumns(), Records(run)
    scores, numbers = score_names(records.schema), number_names(records.schema)
    for batch in records.batches():
        reader = _Reader(batch.schema, has_scores=bool(scores))
        tally.add(batch)
        rows = [reader.row(record) for record in rows_of(batch)]
        others.add(row.shown["own"] for row in rows)
        table.add(rows)
    return others.columns(scores, numbers), records.counts()


def load_other(other: Storage, table: RowTable) -> int:
    """Read the records of the run to compare with; returns their number."""
    rows = 0
    for batch in iter_records(other, _OTHER_COLUMNS):
        rows += batch.num_rows
        table.add_other(_other(batch))
    return rows


def worker_seconds(shown_row: dict[str, Any]) -> float | None:
    """Return the seconds that a row took on its worker; None if it never reached one."""
    times = (shown_row.get("timings") or {}).values()
    return round(sum(times) / 1000, 6) if times else None


class _Reader:
    """Converts the records of a batch."""

    def __init__(self, schema: pa.Schema, *, has_scores: bool) -> None:
        self._per_image = frozenset(field.name for field in schema if is_per_image(field))
        self._scores = SCORES if has_scores else None

    def row(self, record: dict[str, Any]) -> RowRecord:
        """Convert one record."""
        error = record["error"] or {}
        code = None if record["status"] == "completed" else error.get("code") or "internal"
        return RowRecord(
            id=record["id"],
            code=code,
            content=record["content_image"],
            styles=tuple(record["style_images"] or ()),
            shown=self._shown(record, _error(code, error)),
        )

    def _shown(self, record: dict[str, Any], error: dict[str, Any] | None) -> dict[str, Any]:
        own = {
            name: value
            for name, value in record.items()
            if name not in RECORD_NAMES and name != self._scores
        }
        row = {
            "id": visible(record["id"]),
            **{field.name: _value(field, record[field.name]) for field in _REQUEST},
            "prompt": visible(record["prompt"] or ""),
            "outputs": record["outputs"] or None,
            "sha256": record["sha256"] or None,
            "flags": record[NSFW_CONTENTS] if any(record[NSFW_CONTENTS] or ()) else None,
            "error": error,
            "created_at": record["created_at"].isoformat(sep=" ", timespec="seconds"),
            "timings": _timings(record["timings"]),
            **{name: record[name] for name in _PLAIN},
            **{name: visible(record[name]) for name in _TEXTS if record[name]},
            "own": {visible(n): shown(value) for n, value in own.items() if value is not None},
            "numbers": self._numbers(own),
            "scores": scores_of(record.get(self._scores)) if self._scores else None,
        }
        return {name: value for name, value in row.items() if value is not None}

    def _numbers(self, own: dict[str, Any]) -> dict[str, float]:
        """Return the row's own numbers; if each image has one, the lowest."""
        numbers = {n: lowest(v) if n in self._per_image else number(v) for n, v in own.items()}
        return {name: value for name, value in numbers.items() if value is not None}


def _value(field: Field, value: Any) -> Any:  # noqa: ANN401 (of any kind)
    return visible(value) if field.kind is TEXT and value is not None else value


def _error(code: str | None, error: dict[str, Any]) -> dict[str, Any] | None:
    if code is None:
        return None
    return {
        "code": visible(code),
        "message": visible(error.get("message") or ""),
        "stage": visible(error.get("stage") or ""),
        "retryable": bool(error.get("retryable")),
    }


def _timings(timings: dict[str, float | None] | None) -> dict[str, float] | None:
    kept = {stage: round(ms, 1) for stage, ms in (timings or {}).items() if ms is not None}
    return kept or None


def _other(batch: pa.RecordBatch) -> Iterator[tuple[str, dict[str, Any]]]:
    for record in batch.to_pylist():
        error = record["error"] or {}
        code = None if record["status"] == "completed" else error.get("code") or "internal"
        row = {
            "outputs": record["outputs"],
            "sha256": record["sha256"],
            "error": _error(code, error),
        }
        yield record["id"], {name: value for name, value in row.items() if value}
