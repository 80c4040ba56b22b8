"""Compute everything that the golden file says."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from tests.golden_rows.cases import CASES, FOLDER, Case
from tests.rows_adapter import Rows, content_hash, failures, rejected_fingerprint, saved_names

# Fingerprints depend on the folder, so it has the same name on every machine.
_URL = "memory://golden/rows"
_INPUTS = (
    "id",
    "prompt",
    "content_image",
    "style_image",
    "extra_style_image",
    "style_images",
    "style_weights",
    "width",
    "height",
    "num_steps",
    "guidance",
    "seed",
    "keep_size",
    "content_long_size",
    "num_images",
)
_ALIASES = {"style_images": "reference_images"}
# The same in all records, or beside the record already.
_LEFT_OUT = ("id", "fingerprint", "source_digest", "created_at", "run_id", "timings")
_LONG = 200


def all_facts() -> dict[str, Any]:
    """Compute the content of the golden file."""
    return {
        "made_with": "0.1.0",
        "failures": failures(),
        "saved_names": {name: saved_names(name) for name in ("png", "webp", "jpeg")},
        "rejected": [rejected_fingerprint("0123", "why"), rejected_fingerprint("", "größe")],
        "cases": {name: facts_of(case) for name, case in CASES.items()},
    }


def facts_of(case: Case) -> dict[str, Any]:
    """Compute the facts of one case.

    Returns:
        `schema` is the records' schema as text. `accepted` and `rejected` are the rows, each with
        its place in the manifest. `rejected_fingerprints` are by id, and apart from the rows
        because they depend on the words of the messages.
    """
    rows = _read(case)
    facts: dict[str, Any] = {
        "schema": [f"{f.name}: {f.type}{'' if f.nullable else ' not null'}" for f in rows.schema],
        "accepted": [],
        "rejected": [],
        "rejected_fingerprints": {},
    }
    for place, row in enumerate(_rows(case, rows)):
        given = {"row": place, **row}
        if row["rejected"] is None:
            del given["rejected"]
            facts["accepted"].append(given)
        else:
            facts["rejected_fingerprints"][row["id"]] = given.pop("fingerprint")
            facts["rejected"].append(given)
    return facts


def _read(case: Case) -> Rows:
    store = fsspec.filesystem("memory")
    urls = []
    for name in case.files:
        urls.append(f"{_URL}/{name}")
        store.pipe_file(urls[-1], (FOLDER / name).read_bytes())
    return Rows(urls, case.sections, case.model, is_tiny=case.is_tiny)


def _rows(case: Case, rows: Rows) -> Iterator[dict[str, Any]]:
    if not case.has_records:
        yield from rows.identities()
        return
    records = rows.records()
    contents = _contents(case) if case.files[0].endswith(".parquet") else [None] * len(records)
    for identity, names, record, content in zip(
        rows.identities(), rows.names(), _plain_records(records), contents, strict=True
    ):
        yield {**identity, **names, "content": content, "record": record}


def _contents(case: Case) -> Iterator[str]:
    """Yield the content hash of each row of a Parquet file."""
    table = pq.read_table(FOLDER / case.files[0])
    mapped = case.sections.get("manifest", {}).get("columns", {})
    aliased = {ours: alias for ours, alias in _ALIASES.items() if alias in table.schema.names}
    theirs = {name: mapped.get(name, name) for name in _INPUTS} | aliased
    present = {ours: name for ours, name in theirs.items() if name in table.schema.names}
    for row in table.select(list(present.values())).to_pylist():
        yield content_hash({ours: row[name] for ours, name in present.items()})


def _plain_records(records: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the records as JSON values, without nulls and error messages."""
    columns = {
        name: _cells(records.column(name)) for name in records.schema.names if name not in _LEFT_OUT
    }
    for cells in zip(*columns.values(), strict=True):
        record = {n: cell for n, cell in zip(columns, cells, strict=True) if cell is not None}
        if "error" in record:
            del record["error"]["message"]
        yield record


def _cells(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_temporal(column.type):  # Python has no nanoseconds
        wide = pa.types.is_date32(column.type) or pa.types.is_time32(column.type)
        column = column.cast(pa.int32() if wide else pa.int64())
    return [_plain(cell) for cell in column.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, str) and len(value) > _LONG:
        return f"{len(value)} characters, {hashlib.sha256(value.encode()).hexdigest()}"
    return _plain_number(value)


def _plain_number(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Decimal):
        return f"decimal {value}"
    return value


def as_text(facts: dict[str, Any]) -> str:
    """Write JSON with one line per row, so that a diff shows the row."""
    cases = facts["cases"]
    head = json.dumps({**facts, "cases": {}}, ensure_ascii=False, indent=1)
    parts = [f"{_json(name)}: {_case_text(case)}" for name, case in cases.items()]
    return head.removesuffix("{}\n}") + "{\n" + ",\n".join(parts) + "\n}\n}\n"


def _case_text(case: dict[str, Any]) -> str:
    rows = {name: f"[\n{','.join(map(_line, case[name]))}]" for name in ("accepted", "rejected")}
    lines = [
        f'"schema": {_json(case["schema"])}',
        f'"accepted": {rows["accepted"]}',
        f'"rejected": {rows["rejected"]}',
        f'"rejected_fingerprints": {_json(case["rejected_fingerprints"])}',
    ]
    return "{\n" + ",\n".join(lines) + "}"


def _line(row: dict[str, Any]) -> str:
    return f"{_json(row)}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
