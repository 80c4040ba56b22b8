"""A store that loses a part of the records in mid-run, after it had acknowledged it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import LedgerError
from pipelines.ledger import part_writer
from pipelines.ledger.ledger import count_records
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from tests.conditional_s3 import BUCKET
from tests.pipelines.driver.test_driver import config, driver_of, names, ok, write_rows
from tests.pipelines.inprocess_pool import InProcessPool

ROWS = 200


@pytest.fixture(params=["local", "s3"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, conditional_s3: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return settings for an output on a disk and on an S3 server."""
    write_rows(tmp_path, names(ROWS))
    if request.param == "local":
        return {"output": {"commit_rows": 20}}
    path = f"s3://{BUCKET}/{tmp_path.name}"
    return {"output": {"commit_rows": 20, "path": path}, "storage": conditional_s3}


def loses_a_part(output: Storage) -> Callable[[ManifestRow], Outcome]:
    """Return the work of a worker, during which the store loses its last part."""
    lost: list[str] = []

    def work(row: ManifestRow) -> Outcome:
        if row.id > "r150" and not lost:
            lost.extend(output.list("records")[-1:])
            for path in lost:
                output.delete(path)
        return ok(row)

    return work


@pytest.mark.s3
def test_its_records_are_written_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    with driver_of(config(tmp_path, **settings)) as (driver, _, prepared):
        assert driver.find_work()
        driver.work(InProcessPool(2, loses_a_part(prepared.output)))
        prepared.confirm_records()
        prepared.ledger.compact()
        assert count_records(prepared.output).completed == ROWS
        assert prepared.ledger.counts().completed == ROWS


@pytest.mark.s3
def test_without_their_content_the_run_ends_with_an_error(
    tmp_path: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_writer, "_KEPT_BYTES", 0)
    with driver_of(config(tmp_path, **settings)) as (driver, _, prepared):
        assert driver.find_work()
        driver.work(InProcessPool(2, loses_a_part(prepared.output)))
        missing = ROWS - count_records(prepared.output).completed
        assert missing > 0
        with pytest.raises(LedgerError, match=f"{missing} records are gone.*part-r000001-"):
            prepared.confirm_records()
