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
from pipelines.record import NSFW_CONTENTS, RECORD_NAMES
from pipelines.storage.storage import Storage
from pipelines.tools.report.row_table import RowRecord, RowTable
from pipelines.tools.report.summary import Tally
from pipelines.tools.report.values import number, shown, visible

_MOST_NUMBERS = 8
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


def load(run: Storage, table: RowTable, tally: Tally) -> tuple[list[str], LedgerCounts]:
    """Read the records into `table` and `tally`.

    Returns:
        The user's columns of numbers, and the counts of the records.
    """
    numeric: list[str] = []
    records = Records(run)
    for batch in records.batches():
        numeric = _numeric(batch.schema)
        per_image = frozenset(field.name for field in batch.schema if is_per_image(field))
        tally.add(batch)
        table.add(_record(record, per_image) for record in rows_of(batch))
    return numeric, records.counts()


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


def _numeric(schema: pa.Schema) -> list[str]:
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    own = [field for field in schema if field.name not in RECORD_NAMES]
    types = {f.name: f.type.value_type if is_per_image(f) else f.type for f in own}
    return [name for name, type_ in types.items() if any(kind(type_) for kind in kinds)][
        :_MOST_NUMBERS
    ]


def _record(record: dict[str, Any], per_image: frozenset[str]) -> RowRecord:
    error = record["error"] or {}
    code = None if record["status"] == "completed" else error.get("code") or "internal"
    return RowRecord(
        id=record["id"],
        code=code,
        content=record["content_image"],
        styles=tuple(record["style_images"] or ()),
        shown=_shown(record, _error(code, error), per_image),
    )


def _shown(
    record: dict[str, Any], error: dict[str, Any] | None, per_image: frozenset[str]
) -> dict[str, Any]:
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
        "own": {
            visible(name): shown(value)
            for name, value in record.items()
            if name not in RECORD_NAMES and value is not None
        },
        "numbers": _numbers(record, per_image),
    }
    return {name: value for name, value in row.items() if value is not None}


def _value(field: Field, value: Any) -> Any:  # noqa: ANN401 (of any kind)
    return visible(value) if field.kind is TEXT and value is not None else value


def _numbers(record: dict[str, Any], per_image: frozenset[str]) -> dict[str, float]:
    """Return the row's own numbers; if each image has one, the lowest."""
    own = {name: value for name, value in record.items() if name not in RECORD_NAMES}
    numbers = {n: lowest(v) if n in per_image else number(v) for n, v in own.items()}
    return {name: value for name, value in numbers.items() if value is not None}


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
