from __future__ import annotations

import random
import secrets
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import LeaseLostError
from pipelines.ledger import compaction
from pipelines.ledger import ledger as ledger_module
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.ledger.parts import list_parts
from pipelines.ledger.scan import scan_ledger
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.mortal_storage import KilledError, MortalStorage
from tests.pipelines.records import SCHEMA, completed, failed, stored


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit parts to 10 rows, so that a test has several; 5 rows are a small part."""
    monkeypatch.setattr(compaction, "MAX_ROWS", 10)


def fill(storage: Storage) -> list[dict[str, Any]]:
    """Write several parts with superseded records; return the winning records, by id."""
    dice = random.Random(0)
    ledger = Ledger.open(storage, SCHEMA)
    latest: dict[str, dict[str, Any]] = {}
    for part in range(8):
        make = failed if part % 3 == 0 else completed
        ids = dice.sample([f"r{n:02}" for n in range(30)], 2 + part)
        records = [make(row_id, at=part, note=f"part {part}") for row_id in ids]
        ledger.append(records)
        latest |= {record["id"]: record for record in records}
    empty = dict.fromkeys(SCHEMA.names)
    return [{**empty, **latest[row_id]} for row_id in sorted(latest)]


def records_in_parts(storage: Storage) -> int:
    return sum(scan_ledger(storage).num_rows)


def test_one_record_per_id_is_left(storage: Storage) -> None:
    expected = fill(storage)
    assert records_in_parts(storage) > len(expected)
    assert stored(storage) == expected
    ledger = Ledger.open(storage, SCHEMA)
    before = ledger.counts()
    ledger.compact()
    assert records_in_parts(storage) == len(expected)
    assert len(storage.list("records")) == 1
    assert stored(storage) == expected
    assert (count_records(storage), ledger.counts()) == (before, before)


@pytest.mark.usefixtures("small_limits")
def test_parts_stay_within_the_limit(storage: Storage) -> None:
    expected = fill(storage)
    Ledger.open(storage, SCHEMA).compact()
    scan = scan_ledger(storage)
    assert stored(storage) == expected
    assert sum(scan.num_rows) == len(expected)
    assert max(scan.num_rows) <= 10
    assert len(scan.parts) < 8


@pytest.mark.usefixtures("small_limits")
def test_parts_that_are_fine_are_not_rewritten(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed(f"a{n}") for n in range(8)])
    large = set(storage.list("records"))
    ledger.append([completed("b")])
    ledger.append([completed("c")])
    ledger.compact()
    after = set(storage.list("records"))
    assert large < after
    assert len(after) == 2
    ledger.compact()
    Ledger.open(storage, SCHEMA).compact()
    assert set(storage.list("records")) == after


@pytest.mark.usefixtures("small_limits")
def test_a_large_part_with_a_superseded_record_is_rewritten(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed(f"a{n}", at=1) for n in range(8)])
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a3", at=2)])
    ledger.compact()
    assert records_in_parts(storage) == 8
    assert [row["status"] for row in stored(storage)].count("completed") == 1


def test_a_resumed_run_that_redoes_rows_leaves_one_record_of_each(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed(f"a{n}", at=1) for n in range(6)])
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a1", at=2), completed("b1", at=2)])
    ledger.append([failed("a2", at=3, code="image_corrupt"), completed("a3", at=3)])
    counts = ledger.counts()
    assert (counts.completed, dict(counts.failed_by_code)) == (
        3,
        {"uri_timeout": 3, "image_corrupt": 1},
    )
    ledger.compact()
    assert records_in_parts(storage) == 7
    assert (count_records(storage), ledger.counts()) == (counts, counts)


def test_a_part_of_superseded_records_only_goes_away(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed("a", at=1)])
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a", at=2)])
    ledger.compact()
    assert [row["status"] for row in stored(storage)] == ["completed"]
    assert len(storage.list("records")) == 1


def test_small_parts_are_merged_while_the_run_goes_on(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_MAX_SMALL_PARTS", 5)
    ledger = Ledger.open(storage, SCHEMA)
    due = []
    for n in range(6):
        ledger.append([completed(f"r{n}")])
        due.append(ledger.needs_compaction)
    ledger.compact_small()
    assert [*due, ledger.needs_compaction] == [False] * 5 + [True, False]
    assert len(storage.list("records")) == 1
    ledger.append([completed("another")])
    assert count_records(storage).completed == 7


def test_parts_with_different_columns_become_one(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a", note="n")])
    schema = record_schema(pa.schema([("rank", pa.int64())]))
    ledger = Ledger.open(storage, schema)
    ledger.append([completed("b", rank=7)])
    ledger.compact()
    assert len(storage.list("records")) == 1
    assert [(row["note"], row["rank"]) for row in stored(storage)] == [("n", None), (None, 7)]


def test_the_byte_limit_counts_too(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fill(storage)
    largest = max(part.num_bytes for part in list_parts(storage))
    monkeypatch.setattr(compaction, "MAX_BYTES", 2 * largest)
    Ledger.open(storage, SCHEMA).compact()
    assert len(storage.list("records")) > 1
    assert stored(storage) == expected


def test_another_driver_that_compacted_meanwhile_is_left_to_it(storage: Storage) -> None:
    expected = fill(storage)
    late, early = Ledger.open(storage, SCHEMA), Ledger.open(storage, SCHEMA)
    early.compact()
    for change in (late.compact_small, late.compact, late.verify):
        with pytest.raises(LeaseLostError):
            change()
    assert stored(storage) == expected
    assert records_in_parts(storage) == len(expected)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_change_loses_and_doubles_nothing(after: bool) -> None:
    template = Storage.at(f"memory://{secrets.token_hex(8)}")
    expected = fill(template)
    parts = {path: template.read(path) for path in template.list("records")}
    kills = 0
    for dies_at in range(1, 100):
        url = f"memory://{secrets.token_hex(8)}"
        storage = Storage.at(url)
        for path, data in parts.items():
            storage.write(path, data)
        try:
            Ledger.open(MortalStorage(url, {}, dies_at=dies_at, after=after), SCHEMA).compact()
        except KilledError:
            kills += 1
        assert stored(storage) == expected
        Ledger.open(storage, SCHEMA).compact()
        assert stored(storage) == expected
        assert records_in_parts(storage) == len(expected)
        if kills < dies_at:
            break
    assert 8 <= kills < 99
