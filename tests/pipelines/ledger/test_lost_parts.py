"""A store that loses parts which it had acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import LedgerError
from pipelines.ledger import ledger as ledger_module
from pipelines.ledger import part_writer
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed, stored


def lose(storage: Storage, *paths: str) -> None:
    for path in paths:
        storage.delete(path)


def test_lost_parts_are_written_again(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    for number in range(5):
        ledger.append([completed(f"r{number}"), failed(f"f{number}")])
    expected = stored(storage)
    lose(storage, *storage.list("records")[-2:])
    assert len(stored(storage)) == 6
    ledger.verify()
    assert stored(storage) == expected
    ledger.compact()
    ledger.verify()
    assert stored(storage) == expected
    assert len(storage.list("records")) == 1


def test_a_merged_part_that_is_lost_is_written_again(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    for number in range(3):
        ledger.append([completed(f"r{number}")])
    ledger.compact()
    expected = stored(storage)
    lose(storage, *storage.list("records"))
    ledger.verify()
    assert stored(storage) == expected


def test_a_part_that_is_lost_before_a_compaction_in_mid_run_is_written_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MAX_SMALL_PARTS", 3)
    ledger = Ledger.open(storage, SCHEMA)
    for number in range(4):
        ledger.append([completed(f"r{number}")])
    lose(storage, storage.list("records")[1])
    ledger.compact_small()
    assert count_records(storage).completed == 4
    assert ledger.needs_compaction
    ledger.compact_small()
    assert len(storage.list("records")) == 1
    assert count_records(storage).completed == 4


def test_a_part_whose_content_is_not_kept_is_told_with_its_name_and_number(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.open(storage, SCHEMA).append([completed("old1"), completed("old2")])
    (old,) = storage.list("records")
    ledger = Ledger.open(storage, SCHEMA)
    monkeypatch.setattr(part_writer, "_KEPT_BYTES", 0)
    ledger.append([completed("a")])
    monkeypatch.undo()
    ledger.append([completed("b")])
    second, third = storage.list("records")[1:]
    lose(storage, old, second, third)
    with pytest.raises(LedgerError, match=r"3 records are gone.*rerun") as caught:
        ledger.verify()
    assert Path(old).name in str(caught.value)
    assert Path(second).name in str(caught.value)
    assert Path(third).name not in str(caught.value), "it is there again"
    assert [row["id"] for row in stored(storage)] == ["b"]


def test_lost_parts_whose_rows_were_recorded_again_are_no_loss(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (old,) = storage.list("records")
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a", at=5)])
    lose(storage, old)
    ledger.verify()
