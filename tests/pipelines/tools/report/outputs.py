"""Makes outputs without a run: real images and real records."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa

from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, FailureCode
from pipelines.image_names import image_path
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome, Timings
from pipelines.storage.storage import Storage
from pipelines.tools.report.pictures import Places
from pipelines.tools.report.report import ReportFacts, ReportOptions, write_report
from tests.pipelines.pictures import encode, picture
from uso_core.request import Parameters

EXTRA = pa.schema([("score", pa.float64()), ("note", pa.string())])
BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
TIMES = Timings(fetch=10, condition=20, inference=60, decode=5, store=5)


def generated(
    storage: Storage, row_id: str, *, seed: int = 0, data: bytes | None = None, **columns: Any
) -> dict[str, Any]:
    """Store an image (or `data` instead), and return the record of its row."""
    data = data or encode(picture(48, 32, seed=seed), "PNG")
    uri = storage.write(image_path(row_id, 0, 1, "png"), data)
    outcome = Outcome(
        row_id=row_id,
        outputs=(uri,),
        sha256=(hashlib.sha256(data).hexdigest(),),
        width=48,
        height=32,
        timings=TIMES,
        worker="w1",
        device="cpu",
    )
    return record(row_id, outcome, **columns)


def failed(
    row_id: str, code: FailureCode = "uri_timeout", message: str = "it did not work", **columns: Any
) -> dict[str, Any]:
    """Return the record of a failed row."""
    return record(row_id, Outcome(row_id=row_id, failure=Failure(code, message)), **columns)


def record(
    row_id: str,
    outcome: Outcome,
    *,
    prompt: str = "a picture",
    content: str | None = None,
    styles: Sequence[str] = (),
    weights: tuple[float, ...] | None = None,
    at: float = 0,
    **extra: Any,
) -> dict[str, Any]:
    numbers = Parameters(seed=1)
    row = ManifestRow(row_id, prompt, content, tuple(styles), numbers, "0" * 32, weights)
    own = {"score": None, "note": None, **extra}
    facts = RunFacts(run_id="20260101T000000-r", model="tiny:0", preset="exact")
    created_at = BEGAN + timedelta(seconds=at)
    entry = Entry(row, own)
    return make_record(entry, outcome, facts, attempt=1, created_at=created_at)


def commit(storage: Storage, *records: dict[str, Any]) -> None:
    """Commit records as one part."""
    Ledger.open(storage, record_schema(EXTRA)).append(records)


def reported(
    run: Storage,
    out: Storage,
    other: Storage | None = None,
    thumbnails: int | None = None,
    fetch: FetchConfig | None = None,
) -> ReportFacts:
    """Write a report, thumbnails of all rows by default."""
    options = ReportOptions(thumbnails, fetch or FetchConfig(timeout_s=5, attempts=1))
    return write_report(Places(run, out, other), options, lambda *_: None)


def boot(out: Storage) -> dict[str, Any]:
    """Return the values that the page of a report starts with."""
    page = out.read("index.html").decode()
    found = re.search(r'<script type="application/json" id="boot">(.*?)</script>', page)
    assert found is not None
    values: dict[str, Any] = json.loads(found[1])
    return values


def data_file(out: Storage, name: str) -> Any:
    """Return the value that a data file of a report passes to the page."""
    found = [path for path in out.list("data") if path.endswith(f"/{name}.js")]
    assert len(found) == 1, (name, out.list("data"))
    script = out.read(found[0]).decode("ascii")
    head = f'uso.take("{name}",'
    assert script.startswith(head)
    assert script.endswith(");\n")
    return json.loads(script.removeprefix(head).removesuffix(");\n"))


def rows_of(out: Storage) -> list[dict[str, Any]]:
    """Return the rows of a small report, with references in place of their numbers."""
    file = data_file(out, "rows-0")
    rows: list[dict[str, Any]] = file["rows"]
    for row in rows:
        row["styles"] = [file["refs"][index] for index in row["styles"]]
        if "content" in row:
            row["content"] = file["refs"][row["content"]]
    return rows
