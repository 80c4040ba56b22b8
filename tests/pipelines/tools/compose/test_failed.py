from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ComposeError
from pipelines.failures import Failure, FailureCode
from pipelines.ledger.ledger import Ledger
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from pipelines.tools.compose.chosen import ChosenRows
from pipelines.tools.compose.failed import failed_rows
from tests.pipelines.manifests import entries, opened, write

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
FACTS = RunFacts(run_id="r", model="m", preset="exact")


def finished_run(folder: Path) -> tuple[Path, Storage]:
    """Six rows: two completed, three failed in two ways, one rejected."""
    columns: dict[str, Any] = {
        "id": [f"row-{n}" for n in range(6)],
        "prompt": ["p"] * 6,
        "content_image": ["in/a.jpg", *[None] * 5],
        "style_images": [["s.png"]] * 6,
        "style_weights": [[0.5], [1.0], None, None, None, None],
        "width": [1024, 1024, 1024, 1024, 1024, 17],
        "note": list(range(6)),
    }
    path = write(folder / "m.parquet", columns)
    codes: list[FailureCode | None] = [
        "uri_timeout",
        None,
        "out_of_memory",
        None,
        "uri_timeout",
        "invalid_request",
    ]
    storage = Storage.at(str(folder / "out"))
    manifest = opened(path)
    ledger = Ledger.open(storage, record_schema(manifest.extra_schema))
    records = []
    for entry, code in zip(manifest.entries(), codes, strict=True):
        failure = None if code is None else Failure(code, "why")
        outcome = Outcome(row_id=entry.row.id, failure=failure)
        records.append(make_record(entry, outcome, FACTS, attempt=1, created_at=NOW))
    ledger.append(records)
    return path, storage


def test_failed_rows_come_back_whole(tmp_path: Path) -> None:
    path, storage = finished_run(tmp_path)
    failed = failed_rows(storage, ())
    chosen = ChosenRows(failed.ids, new_seeds=False)
    rows = chosen.rows(opened(path))
    found = [row for batch in rows.batches for row in batch.to_pylist()]
    assert [row["id"] for row in found] == ["row-0", "row-2", "row-4"]
    assert found[0]["content_image"] == f"{tmp_path}/in/a.jpg"
    assert [row["note"] for row in found] == [0, 2, 4]
    assert [row["style_weights"] for row in found] == [[0.5], None, None]
    assert failed.by_code == {"uri_timeout": 2, "out_of_memory": 1, "invalid_request": 1}
    assert chosen.not_accepted == 1


def test_a_run_of_them_draws_the_same(tmp_path: Path) -> None:
    path, storage = finished_run(tmp_path)
    ids = failed_rows(storage, ()).ids
    rows = ChosenRows(ids, new_seeds=False).rows(opened(path))
    table = [row for batch in rows.batches for row in batch.to_pylist()]
    again = write(
        tmp_path / "again.parquet", {name: [row[name] for row in table] for name in table[0]}
    )
    before = {entry.row.id: entry.row.fingerprint for entry in entries(path)}
    assert all(entry.row.fingerprint == before[entry.row.id] for entry in entries(again))


def test_one_code_can_be_asked_for(tmp_path: Path) -> None:
    _, storage = finished_run(tmp_path)
    assert failed_rows(storage, ["uri_timeout"]).ids == {"row-0", "row-4"}
    with pytest.raises(ComposeError, match="no row failed with image_corrupt"):
        failed_rows(storage, ["image_corrupt"])
