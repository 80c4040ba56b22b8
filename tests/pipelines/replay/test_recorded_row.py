"""Rows of records: the fingerprint decides about values that are not recorded."""

from __future__ import annotations

from typing import Any

from pipelines.replay.recorded_row import RecordedRows
from pipelines.replay.stored_run import StoredRuns
from pipelines.storage.storage import Storage
from tests.golden_output import FOLDER
from tests.pipelines.records import stored
from uso_core.loading.tiny_configs import TINY_LIMITS


def golden() -> tuple[list[dict[str, Any]], StoredRuns]:
    output = Storage.at(str(FOLDER / "output"))
    records = [record for record in stored(output) if record["status"] == "completed"]
    return records, StoredRuns(output)


def test_records_of_version_0_1_0_give_their_fingerprints() -> None:
    records, runs = golden()
    assert len(records) == 16
    for record in records:
        run = runs.find(record["run_id"])
        assert run is not None
        assert "keep_size" not in record or record["keep_size"] is None
        made = RecordedRows(run.settings(), run.model, TINY_LIMITS).row(record)
        assert made.is_sure, record["id"]
    kept = {record["id"]: record for record in records}["content"]
    run = runs.find(kept["run_id"])
    assert run is not None
    row = RecordedRows(run.settings(), run.model, TINY_LIMITS).row(kept).row
    assert row.parameters.keep_size
    assert row.parameters.content_long_size == 64


def test_a_changed_value_is_not_sure() -> None:
    records, runs = golden()
    for name, value in {"prompt": "x", "seed": 1, "guidance": 1.5, "style_images": ["y"]}.items():
        record = {**records[0], name: value}
        run = runs.find(record["run_id"])
        assert run is not None
        assert not RecordedRows(run.settings(), run.model, TINY_LIMITS).row(record).is_sure
