"""Makes outputs without a run: real images and real records."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
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
    """Return the value that a data file of a report passes to the page; arrays as lists."""
    found = [path for path in out.list("data") if path.endswith(f"/{name}.js")]
    assert len(found) == 1, (name, out.list("data"))
    script = out.read(found[0]).decode("ascii")
    match = re.fullmatch(
        r'uso\.unpack\("([a-z0-9-]+)","([A-Za-z0-9+/=]*)"(?:,(\{.*\}))?\);\n', script
    )
    assert match is not None, script[:200]
    assert match[1] == name
    content = zlib.decompress(base64.b64decode(match[2]))
    return json.loads(content) if match[3] is None else numbers_in(content, json.loads(match[3]))


def numbers_in(content: bytes, array: dict[str, Any]) -> list[float]:
    """Return the numbers of an array, as the page makes them."""
    values = np.frombuffer(content, np.dtype(array["type"].lower()))
    if "scale" not in array:
        whole: list[float] = values.tolist()
        return whole
    none = values == np.iinfo(values.dtype).max
    numbers = (values.astype(np.float64) + array["least"]) / array["scale"]
    found: list[float] = np.where(none, np.nan, numbers).tolist()
    return found


def cell(column: Any, index: int) -> Any:
    """Return the value of a row in a column of a data file; None for none."""
    if isinstance(column, dict) and column.keys() == {"all"}:
        return column["all"]
    return None if column is None else column[index]


def rows_of(out: Storage, number: int = 0) -> list[dict[str, Any]]:
    """Return the rows of a file, with references in place of their numbers, as the page does."""
    start = boot(out)
    per_file, per_ids = start["rowsPerFile"], start["idsPerFile"]
    shown, texts = data_file(out, f"rows-{number}"), data_file(out, f"texts-{number}")
    first = number * per_file
    ids = data_file(out, f"ids-{first // per_ids}")["of"]
    count = min(per_file, start["rows"] - first)
    return [page_row(shown, texts, cell(ids, first % per_ids + n), n) for n in range(count)]


def page_row(shown: dict[str, Any], texts: dict[str, Any], key: str, index: int) -> dict[str, Any]:
    """Return a row of the data files `rows-N` and `texts-N`, as the page makes it."""
    nested = ("timings", "own", "scores", "images")
    plain = {name: cell(column, index) for name, column in shown.items() if name not in nested}
    plain |= {name: cell(texts.get(name), index) for name in ("prompt", "error")}
    row = {name: value for name, value in plain.items() if value is not None}
    odd_id = cell(texts.get("id"), index)
    row |= {"id": key} if odd_id is None else {"id": odd_id, "key": key}
    for group in ("timings", "own", "scores"):
        values = {n: cell(column, index) for n, column in shown.get(group, {}).items()}
        kept = {name: value for name, value in values.items() if value is not None}
        if kept or group == "own" or (group == "scores" and group in shown):
            row[group] = kept
    images, found = shown["images"], cell(shown["images"].get("of"), index)
    if isinstance(found, str):
        links = {"full": images["full"] + found} if "full" in images else {}
        found = [{"uri": images["uri"] + found, **links}]
    row["images"] = found or []
    styles = cell(texts.get("styles"), index)
    styles = [] if styles is None else [styles] if isinstance(styles, int) else styles
    row["styles"] = [texts["refs"][style] for style in styles]
    content = cell(texts.get("content"), index)
    return row if content is None else row | {"content": texts["refs"][content]}
