"""Stores with stale listings: a part is not listed yet, or is gone and still listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import LedgerError
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed, stored


class LaggingStorage(Storage):
    """Lists the files of an earlier moment; reads and writes use the current ones.

    Attributes:
        listed: the files to list; None: the current ones.
    """

    listed: dict[str, int] | None = None

    def sizes(self, prefix: str) -> dict[str, int]:
        return super().sizes(prefix) if self.listed is None else self.listed


@pytest.fixture
def storage(tmp_path: Path) -> LaggingStorage:
    return LaggingStorage(str(tmp_path), {})


def test_a_part_that_is_not_listed_yet_costs_its_rows_a_second_time_and_no_more(
    storage: LaggingStorage,
) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    storage.listed = dict(storage.sizes("records"))
    Ledger.open(storage, SCHEMA).append([completed("b"), failed("c")])
    late = Ledger.open(storage, SCHEMA)
    assert [row is None for row in late.lookup(["a", "b", "c"])] == [False, True, True]
    late.append([completed("b", at=60), completed("c", at=60)])
    late.compact()  # of the parts that it can see
    storage.listed = None
    assert [row["id"] for row in stored(storage)] == ["a", "b", "c"]
    ledger = Ledger.open(storage, SCHEMA)
    ledger.compact()
    counts = ledger.counts()
    assert (counts.completed, counts.failed) == (3, 0)
    assert [row["status"] for row in stored(storage)] == ["completed"] * 3


def test_a_part_that_is_still_listed_but_gone_is_said(storage: LaggingStorage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a")])
    ledger.append([completed("b")])
    storage.listed = dict(storage.sizes("records"))
    ledger.compact()
    with pytest.raises(LedgerError, match="vanished"):
        list(iter_records(storage))
    storage.listed = None
    assert [row["id"] for row in stored(storage)] == ["a", "b"]
