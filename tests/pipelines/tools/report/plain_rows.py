"""Rows of a report as the table takes them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from pipelines.tools.report.row_table import Row

_TEXTS = pa.list_(pa.string())
_ROWS = pa.schema(
    [
        ("id", pa.string()),
        ("code", pa.string()),
        ("content", pa.string()),
        ("styles", _TEXTS),
        ("outputs", _TEXTS),
        ("sha256", _TEXTS),
    ]
)
_OTHERS = pa.schema(
    [("id", pa.string()), ("outputs", _TEXTS), ("sha256", _TEXTS), ("error", pa.string())]
)


def batch_of(*rows: Row) -> pa.RecordBatch:
    """Return the columns of rows that a table needs."""
    return pa.RecordBatch.from_pylist([row._asdict() for row in rows], _ROWS)


def others_of(**rows: dict[str, Any]) -> pa.RecordBatch:
    """Return rows of the other run by their ids."""
    values = [
        {"id": row_id, **row, "error": json.dumps(row["error"]) if "error" in row else None}
        for row_id, row in rows.items()
    ]
    return pa.RecordBatch.from_pylist(values, _OTHERS)
