"""Short ways to write records like those of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.ledger.ledger import iter_records
from pipelines.record import record_schema
from pipelines.storage.storage import Storage

SCHEMA = record_schema(pa.schema([("note", pa.string())]))
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def fingerprint(text: str) -> str:
    """Return a fingerprint in the form of the manifest's: hex."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def completed(row_id: str, *, at: float = 0, **columns: Any) -> dict[str, Any]:
    """Return the record of a completed row, made `at` seconds after the start."""
    return {
        "id": row_id,
        "status": "completed",
        "outputs": [f"/images/{row_id}.png"],
        "sha256": [hashlib.sha256(row_id.encode()).hexdigest()],
        "has_nsfw_contents": [None],
        "prompt": f"a picture of {row_id}",
        "fingerprint": fingerprint(row_id),
        "created_at": _START + timedelta(seconds=at),
        "attempt": 1,
        "run_id": "run-1",
        "schema_version": 1,
        **columns,
    }


def failed(
    row_id: str,
    *,
    at: float = 0,
    code: str = "uri_timeout",
    retryable: bool = True,
    **columns: Any,
) -> dict[str, Any]:
    """Return the record of a failed row, made `at` seconds after the start."""
    error = {
        "code": code,
        "message": f"{row_id} did not work",
        "stage": "fetch",
        "retryable": retryable,
        "uri": None,
    }
    nothing = {"status": "failed", "outputs": None, "sha256": None, "has_nsfw_contents": None}
    return {**completed(row_id, at=at), **nothing, "error": error, **columns}


def stored(storage: Storage, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return all records, sorted by id."""
    rows: list[dict[str, Any]] = []
    for batch in iter_records(storage, columns):
        rows.extend(batch.to_pylist())
    return sorted(rows, key=lambda row: row.get("id", ""))


def drop_column(storage: Storage, name: str) -> None:
    """Rewrite every part as written before records had this column."""
    for path in storage.list("records"):
        table = pq.read_table(pa.BufferReader(storage.read(path))).drop_columns(name)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        storage.write(path, sink.getvalue().to_pybytes())
