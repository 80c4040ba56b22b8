"""The rows of a report made one by one from Python's values: what the columns must agree with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.shown import rows_of
from pipelines.fields.kinds import TEXT
from pipelines.fields.table import RECORDED_FIELDS
from pipelines.image_values import is_per_image, lowest
from pipelines.record import NSFW_CONTENTS, RECORD_NAMES, SCORES
from pipelines.tools.report.own_columns import number_names, score_names, scores_of, value_text
from pipelines.tools.report.pictures import Gallery, reference, results
from pipelines.tools.report.values import number, shown, visible

Values = dict[str, Any]

_REQUEST = [field for field in RECORDED_FIELDS if not field.kind.is_reference]


def expected_rows(batch: pa.RecordBatch, gallery: Gallery) -> list[Values]:
    """Return the rows as the page gets them, in the order of the records."""
    scores = score_names(batch.schema)
    return [_row(record, gallery, has_scores=bool(scores)) for record in rows_of(batch)]


def expected_numbers(batch: pa.RecordBatch) -> dict[str, list[float | None]]:
    """Return the numbers that the page filters by, by the names of their columns."""
    per_image = {field.name for field in batch.schema if is_per_image(field)}
    scores, own = score_names(batch.schema), number_names(batch.schema)
    found: dict[str, list[float | None]] = {"seconds": []}
    for record in rows_of(batch):
        times = (_timings(record["timings"]) or {}).values()
        found["seconds"].append(round(sum(times) / 1000, 6) if times else None)
        means = scores_of(record[SCORES]) if scores else {}
        for name in scores:
            found.setdefault(f"score:{name}", []).append(means.get(name))
        for name in own:
            value = record[name]
            one = lowest(value) if name in per_image else number(value)
            found.setdefault(f"number:{name}", []).append(one)
    return found


def expected_texts(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, list[str | None]]:
    """Return the texts of columns that are picked or searched."""
    rows = rows_of(batch)
    return {name: [value_text(_shown(row[name])) for row in rows] for name in names}


def _row(record: Values, gallery: Gallery, *, has_scores: bool) -> Values:
    error = record["error"] or {}
    code = None if record["status"] == "completed" else error.get("code") or "internal"
    hidden = {SCORES} if has_scores else set()
    own = {n: v for n, v in record.items() if n not in RECORD_NAMES and n not in hidden}
    key, row_id = record["id"], visible(record["id"])
    row = {
        "id": row_id,
        "key": None if key == row_id else key,
        **{field.name: _value(field.kind is TEXT, record[field.name]) for field in _REQUEST},
        "prompt": visible(record["prompt"] or ""),
        "flags": record[NSFW_CONTENTS] if any(record[NSFW_CONTENTS] or ()) else None,
        "error": _error(code, error),
        "created_at": record["created_at"].isoformat(sep=" ", timespec="seconds"),
        "timings": _timings(record["timings"]),
        **{name: record[name] for name in ("attempt", "prompt_truncated")},
        **{
            name: visible(record[name])
            for name in ("model", "preset", "run_id", "worker", "device")
            if record[name]
        },
        "own": {visible(n): shown(value) for n, value in own.items() if value is not None},
        "images": [gallery.shown(p) for p in results(record["outputs"], record["sha256"], "run")],
        "styles": [gallery.shown(reference(style)) for style in record["style_images"] or ()],
    }
    if record["content_image"] is not None:
        row["content"] = gallery.shown(reference(record["content_image"]))
    if has_scores:
        means = scores_of(record[SCORES])
        row["scores"] = {name: value for name, value in means.items() if value is not None}
    return {name: value for name, value in row.items() if value is not None}


def _value(is_text: bool, value: Any) -> Any:
    return visible(value) if is_text and value is not None else value


def _shown(value: Any) -> Any:
    return None if value is None else shown(value)


def _error(code: str | None, error: Values) -> Values | None:
    if code is None:
        return None
    return {
        "code": visible(code),
        "message": visible(error.get("message") or ""),
        "stage": visible(error.get("stage") or ""),
        "retryable": bool(error.get("retryable")),
    }


def _timings(timings: Values | None) -> Values | None:
    kept = {
        stage: round(ms, 1)
        for stage, ms in (timings or {}).items()
        if ms is not None and math.isfinite(ms)
    }
    return kept or None


def as_json(values: Any) -> Any:
    """Return values as JSON brings them to the page."""
    return json.loads(json.dumps(values))
