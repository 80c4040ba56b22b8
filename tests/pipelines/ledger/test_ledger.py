from __future__ import annotations

import io
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.errors import StorageError
from pipelines.failures import CODES
from pipelines.ledger.ledger import FailureExample, Ledger, Recorded, count_records
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed, fingerprint, stored


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return Storage.at(str(tmp_path / "out"))


def test_a_new_output_has_no_records(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    assert ledger.lookup(["a"])[0] is None
    assert ledger.counts() == count_records(storage)
    assert ledger.counts().completed == ledger.counts().failed == 0
    assert stored(storage) == []
    ledger.compact()
    assert storage.list("records") == []


def test_records_come_back_as_they_were_given(storage: Storage) -> None:
    records = [
        completed("a", note="mine", width=512, style_images=["s1", "s2"], guidance=3.5),
        failed("b", note=None),
    ]
    Ledger.open(storage, SCHEMA).append(records)
    rows = stored(storage)
    assert list(rows[0]) == SCHEMA.names
    for given, row in zip(records, rows, strict=True):
        assert row == {**dict.fromkeys(SCHEMA.names), **given}


def test_a_second_driver_knows_what_the_first_recorded(storage: Storage) -> None:
    first = Ledger.open(storage, SCHEMA)
    first.append([completed("a"), failed("b")])
    first.append([failed("c", code="image_corrupt", retryable=False)])
    done, retryable, final, nothing = Ledger.open(storage, SCHEMA).lookup(["a", "b", "c", "d"])
    assert isinstance(done, Recorded)
    assert done.status == "completed"
    assert done.has_fingerprint(fingerprint("a"))
    assert not done.has_fingerprint(fingerprint("b"))
    assert retryable is not None
    assert (retryable.status, retryable.code) == ("failed", "uri_timeout")
    assert retryable.retryable
    assert final is not None
    assert not final.retryable
    assert nothing is None


def test_a_lookup_returns_the_records_of_when_the_ledger_was_opened(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed("a", at=1)])
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a", at=2), completed("b")])
    again, new = ledger.lookup(["a", "b"])
    assert again is not None
    assert again.status == "failed"
    assert new is None


def test_counts(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a"), failed("b"), failed("c"), failed("d", code="image_corrupt")])
    for counts in (ledger.counts(), count_records(storage), Ledger.open(storage, SCHEMA).counts()):
        assert (counts.completed, counts.failed) == (1, 3)
        assert list(counts.failed_by_code.items()) == [("uri_timeout", 2), ("image_corrupt", 1)]
        assert counts.examples["image_corrupt"] == FailureExample("d", "d did not work")
        assert counts.examples["uri_timeout"].row_id in {"b", "c"}


def test_a_failed_row_that_is_completed_later_counts_once(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed("a", at=1), failed("b", at=1)])
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed("a", at=2)])
    for counts in (ledger.counts(), count_records(storage)):
        assert (counts.completed, counts.failed) == (1, 1)
        assert counts.examples.get("uri_timeout", FailureExample("b", "")).row_id == "b"
    assert [row["status"] for row in stored(storage)] == ["completed", "failed"]


def test_an_id_twice_in_one_append_is_read_once(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([failed("a", at=1), completed("a", at=2), completed("b")])
    for counts in (Ledger.open(storage, SCHEMA).counts(), count_records(storage)):
        assert (counts.completed, counts.failed) == (2, 0)
    assert len(stored(storage)) == 2


def test_rows_of_this_run_take_no_memory(local: Storage) -> None:
    Ledger.open(local, SCHEMA).append([failed("a", at=1)])
    ledger = Ledger.open(local, SCHEMA)
    before = len(pickle.dumps(ledger._index))
    for n in range(10):
        ledger.append([completed(f"{n}-{m}") for m in range(200)])
    assert len(pickle.dumps(ledger._index)) < before + 50
    assert ledger.counts() == count_records(local)


def test_memory_for_single_rows_is_freed_before_all_records_are_read_again(
    local: Storage,
) -> None:
    Ledger.open(local, SCHEMA).append([failed("a", at=1), completed("b")])
    ledger = Ledger.open(local, SCHEMA)
    known = weakref.ref(ledger._index._earlier.payload)
    ledger.append([completed("a", at=2)])
    ledger.forget_rows()
    assert known() is None
    ledger.compact()
    assert ledger.counts() == count_records(local)
    assert len(stored(local)) == len(local.list("records")) + 1 == 2


def test_one_append_is_one_part_and_an_empty_one_is_not(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([])
    assert storage.list("records") == []
    ledger.append([completed("b"), completed("a")])
    (part,) = storage.list("records")
    assert pq.read_schema(io.BytesIO(storage.read(part))).equals(SCHEMA)


def test_other_records_of_the_same_rows_never_overwrite_a_part(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a", at=5)])
    Ledger.open(storage, SCHEMA).append([failed("a", at=3)])
    assert len(storage.list("records")) == 2
    assert stored(storage)[0]["status"] == "completed"


def test_every_failure_code_is_told_apart(local: Storage) -> None:
    ledger = Ledger.open(local, SCHEMA)
    ledger.append([failed(code, code=code, retryable=CODES[code].retryable) for code in CODES])
    again = Ledger.open(local, SCHEMA)
    assert dict(again.counts().failed_by_code) == dict.fromkeys(CODES, 1)
    for code, facts in CODES.items():
        recorded = again.lookup([code])[0]
        assert recorded is not None
        assert (recorded.code, recorded.retryable) == (code, facts.retryable)


def test_a_part_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    ledger = Ledger.open(storage, SCHEMA)
    (tmp_path / "records").write_text("in the way")
    with pytest.raises(StorageError):
        ledger.append([completed("a")])
    assert ledger.lookup(["a"])[0] is None
    assert ledger.counts().completed == 0


def test_others_may_look_while_records_are_appended(local: Storage) -> None:
    ledger = Ledger.open(local, SCHEMA)

    def append_all() -> None:
        for n in range(4):
            ledger.append([completed(f"{n}-{m}") for m in range(50)])

    with ThreadPoolExecutor(1) as thread:
        appended = thread.submit(append_all)
        while not appended.done():
            wait([appended], timeout=0.001)
            assert ledger.counts().completed % 50 == 0
            assert ledger.lookup(["0-0", "3-49"]) == [None, None]
        appended.result()
    assert ledger.counts().completed == 200
