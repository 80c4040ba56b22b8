"""An output that is removed, emptied or unmounted during a run ends it, and is not made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import BrokenOffError, LeaseLostError, StorageError
from pipelines.rows import ManifestRow, Outcome
from tests.pipelines.driver.test_driver import config, driver_of, names, ok, write_rows
from tests.pipelines.inprocess_pool import InProcessPool


def removed(output: Path) -> None:
    output.rename(output.with_name("aside"))


def unmounted(output: Path) -> None:
    output.rename(output.with_name("aside"))
    output.mkdir()


def emptied(output: Path) -> None:
    aside = output.with_name("aside")
    aside.mkdir()
    for path in sorted(output.iterdir(), reverse=True):  # run/, then records/
        path.rename(aside / path.name)


@pytest.mark.parametrize("change", [removed, unmounted, emptied])
def test_it_ends_the_run_with_the_folder_named(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    write_rows(tmp_path, names(2000))
    output, changed = tmp_path / "out", list[str]()

    def work(row: ManifestRow) -> Outcome:
        if row.id == "r100" and not changed:
            changed.append(row.id)
            change(output)
        return ok(row)

    settings = config(tmp_path, output={"commit_rows": 20})
    with driver_of(settings) as (driver, _, _prepared):
        assert driver.find_work()
        with pytest.raises((BrokenOffError, StorageError), match=f"{output}"):
            driver.work(InProcessPool(2, work))
    left = [path for path in output.rglob("*") if path.is_file()] if output.exists() else []
    # A commit that had read the lease before an emptied folder lost it may still be written.
    assert len(left) <= (1 if change is emptied else 0)


def test_parts_that_another_driver_compacted_are_not_called_lost(tmp_path: Path) -> None:
    write_rows(tmp_path, names(100))
    with driver_of(config(tmp_path, output={"commit_rows": 20})) as (driver, _, prepared):
        assert driver.find_work()
        driver.work(InProcessPool(2, ok))
        other = type(prepared.ledger).view(prepared.output, prepared.ledger._schema)
        other._parts.superseded = True
        other.compact()
        with pytest.raises(LeaseLostError):
            prepared.ledger.verify()
