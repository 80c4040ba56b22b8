from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import LedgerError
from pipelines.failures import Failure, FailureCode
from pipelines.ledger.follow import LedgerFollower
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.ledger.parts import list_parts
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Entry, ManifestRow, Outcome
from pipelines.storage.storage import Storage
from uso_core.request import Parameters

START = datetime(2026, 1, 2, tzinfo=timezone.utc)


def record(row_id: str, code: FailureCode | None = None, *, second: float = 0) -> dict[str, Any]:
    row = ManifestRow(row_id, "p", None, (), Parameters(), "0" * 32)
    failure = None if code is None else Failure(code, "why")
    facts = RunFacts(run_id="r1", model="tiny:0", preset="exact")
    at = START + timedelta(seconds=second)
    outcome = Outcome(row_id=row_id, failure=failure)
    return make_record(Entry(row), outcome, facts, attempt=1, created_at=at)


def ledger_of(storage: Storage) -> Ledger:
    return Ledger.open(storage, record_schema(pa.schema([])))


def agree(follower: LedgerFollower, storage: Storage) -> tuple[int, int]:
    """Return completed and failed; assert that they match a reader of all records."""
    counts, expected = follower.poll(), count_records(storage)
    assert (counts.completed, counts.failed) == (expected.completed, expected.failed)
    assert counts.failed_by_code == expected.failed_by_code
    return counts.completed, counts.failed


def test_it_counts_new_records(storage: Storage) -> None:
    follower, ledger = LedgerFollower(storage), ledger_of(storage)
    assert agree(follower, storage) == (0, 0)
    ledger.append([record("a"), record("b", "internal")])
    assert agree(follower, storage) == (1, 1)
    ledger.append([record(f"c{n}") for n in range(300)])
    assert agree(follower, storage) == (301, 1)


def test_a_part_is_read_once(storage: Storage) -> None:
    follower, ledger = LedgerFollower(storage), ledger_of(storage)
    ledger.append([record("a"), record("b")])
    follower.poll()
    (part,) = list_parts(storage)
    storage.write(part.path, b"damaged")
    assert follower.poll().completed == 2
    with pytest.raises(LedgerError):
        LedgerFollower(storage).poll()


def test_a_row_that_is_recorded_again_counts_as_it_is_now(storage: Storage) -> None:
    follower, ledger = LedgerFollower(storage), ledger_of(storage)
    ledger.append([record("a", "uri_timeout"), record("b", "internal"), record("c")])
    assert agree(follower, storage) == (1, 2)
    ledger.append([record("a", second=5), record("b", "uri_not_found", second=5)])
    assert agree(follower, storage) == (2, 1)
    ledger.append([record("c", "image_corrupt", second=-5)])  # from a driver that seemed dead
    assert agree(follower, storage) == (2, 1)


def test_compaction_changes_nothing(storage: Storage) -> None:
    follower, ledger = LedgerFollower(storage), ledger_of(storage)
    ledger.append([record("a", "uri_timeout"), record("b")])
    ledger.append([record("a", second=5)])
    before = agree(follower, storage)
    ledger.append([record("c", "internal", second=6)])  # not polled before the parts are merged
    ledger.compact()
    assert len(list_parts(storage)) == 1
    assert before == (2, 0)
    assert agree(follower, storage) == (2, 1)


def test_of_two_records_at_the_same_time_the_completed_one_counts(storage: Storage) -> None:
    follower, ledger = LedgerFollower(storage), ledger_of(storage)
    ledger.append([record("a")])
    follower.poll()
    ledger.append([record("a", "internal"), record("b")])
    assert agree(follower, storage) == (2, 0)
