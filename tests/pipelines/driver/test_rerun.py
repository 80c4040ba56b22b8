"""A second run over an output that holds records."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import (
    RowsChangedError,
)
from pipelines.failures import FailureCode
from pipelines.ledger.ledger import count_records
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from tests.pipelines.driver.test_driver import (
    config,
    driver_of,
    failing,
    names,
    ok,
    recorded,
    run,
    write_rows,
)


def test_where_nothing_is_left_to_do_there_is_no_work(tmp_path: Path) -> None:
    write_rows(tmp_path, names(3))
    for shard in ("0/1", "7/8"):  # of three rows, the last has none
        found = config(tmp_path, manifest={"shard": shard})
        run(found, ok)
        with driver_of(found) as (driver, _, _):
            assert not driver.find_work()
            assert driver.reached_end


def test_only_rows_that_were_added_run(tmp_path: Path) -> None:
    write_rows(tmp_path, names(10))
    run(config(tmp_path), ok)
    write_rows(tmp_path, names(14))
    stats, pool = run(config(tmp_path), ok)
    assert set(pool.tries) == {"r10", "r11", "r12", "r13"}
    assert (stats.skipped, stats.completed) == (10, 4)


def test_failed_rows_run_again_where_that_can_help_or_is_asked_for(tmp_path: Path) -> None:
    def work(row: ManifestRow) -> Outcome:
        codes: dict[str, FailureCode] = {"r0": "uri_timeout", "r1": "uri_not_found"}
        return failing(codes[row.id])(row) if row.id in codes else ok(row)

    write_rows(tmp_path, names(4))
    run(config(tmp_path), work)
    assert set(run(config(tmp_path), work)[1].tries) == {"r0"}
    _, pool = run(config(tmp_path, on_error={"retry_failed": True}), ok)
    assert set(pool.tries) == {"r0", "r1"}
    assert set(recorded(tmp_path).values()) == {"completed"}


@pytest.mark.parametrize(("on_change", "again"), [("redo", {"r1"}), ("keep", set())])
def test_rows_that_changed_are_redone_or_kept(
    tmp_path: Path, on_change: str, again: set[str]
) -> None:
    write_rows(tmp_path, names(3), num_steps=[1, 1, 1])
    run(config(tmp_path), ok)
    write_rows(tmp_path, names(3), num_steps=[1, 2, 1])
    stats, pool = run(config(tmp_path, output={"on_change": on_change}), ok)
    assert set(pool.tries) == again
    assert stats.changed == 1
    assert count_records(Storage.at(str(tmp_path / "out"))).completed == 3


def test_rows_that_changed_can_be_an_error(tmp_path: Path) -> None:
    write_rows(tmp_path, names(3))
    run(config(tmp_path), ok)
    changed = config(tmp_path, output={"on_change": "error"}, defaults={"guidance": 3.0})
    with pytest.raises(RowsChangedError, match="'r0' is completed"):
        run(changed, ok)
