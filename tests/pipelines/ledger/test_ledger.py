from __future__ import annotations

import io
import pickle
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LedgerError, StorageError
from pipelines.failures import CODES
from pipelines.ledger import parts as ledger_parts
from pipelines.ledger.ledger import FailureExample, Ledger, Recorded, count_records, iter_records
from pipelines.record import RECORD_FIELDS, record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, drop_column, failed, fingerprint, stored


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return Storage.at(str(tmp_path / "out"))


def part_of(storage: Storage, table: pa.Table, name: str = "0" * 32) -> str:
    """Puts a part of one's own making into the records."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    path = f"records/part-{name}.parquet"
    storage.write(path, sink.getvalue())
    return path


# What is appended is recorded


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


def test_a_lookup_tells_what_there_was_when_the_ledger_was_opened(storage: Storage) -> None:
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


def test_what_is_known_of_single_rows_is_freed_before_all_records_are_looked_at_again(
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


def test_one_append_is_one_part_and_none_is_none(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([])
    assert storage.list("records") == []
    ledger.append([completed("b"), completed("a")])
    (part,) = storage.list("records")
    assert pq.read_schema(io.BytesIO(storage.read(part))).equals(SCHEMA)


def test_the_same_records_make_the_same_part(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a"), completed("b")])
    Ledger.open(storage, SCHEMA).append([completed("b"), completed("a")])
    assert len(storage.list("records")) == 1


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
            time.sleep(0.001)
            assert ledger.counts().completed % 50 == 0
            assert ledger.lookup(["0-0", "3-49"]) == [None, None]
        appended.result()
    assert ledger.counts().completed == 200


# Reading records


def test_columns_and_batches_of_a_stream(local: Storage) -> None:
    ledger = Ledger.open(local, SCHEMA)
    ledger.append([completed(f"r{n:03}", note=str(n)) for n in range(25)])
    batches = list(iter_records(local, ["note", "id"], batch_rows=10))
    assert [batch.num_rows for batch in batches] == [10, 10, 5]
    assert all(batch.schema.names == ["note", "id"] for batch in batches)
    with pytest.raises(LedgerError, match="no column 'nope'; there are id, status"):
        next(iter_records(local, ["nope"]))


def test_a_large_part_is_read_in_ranges(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_parts, "_WHOLE_BYTES", 1000)
    Ledger.open(storage, SCHEMA).append([completed(f"r{n:04}") for n in range(2000)])
    assert storage.sizes("records").popitem()[1] > 1000
    assert count_records(storage).completed == 2000
    assert [row["id"] for row in stored(storage, ["id"])] == [f"r{n:04}" for n in range(2000)]


# Other columns, other files


def test_a_later_run_may_have_other_columns(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a", note="n")])
    schema = record_schema(pa.schema([("rank", pa.int64())]))
    Ledger.open(storage, schema).append([completed("b", rank=7)])
    rows = stored(storage)
    assert [(row["id"], row["note"], row["rank"]) for row in rows] == [
        ("a", "n", None),
        ("b", None, 7),
    ]
    assert stored(storage, ["rank"]) == [{"rank": None}, {"rank": 7}] or (
        stored(storage, ["rank"]) == [{"rank": 7}, {"rank": None}]
    )


def test_a_column_without_values_takes_a_type_later(storage: Storage) -> None:
    nothing = record_schema(pa.schema([("note", pa.null())]))
    Ledger.open(storage, nothing).append([completed("a")])
    Ledger.open(storage, SCHEMA).append([completed("b", note="n")])
    assert [row["note"] for row in stored(storage)] == [None, "n"]


@pytest.mark.parametrize("name", ["source_digest", "style_weights"])
def test_records_without_a_column_that_was_added_later_go_on(storage: Storage, name: str) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a"), failed("b")])
    drop_column(storage, name)
    ledger = Ledger.open(storage, SCHEMA)
    assert ledger.counts().completed == 1
    ledger.append([completed("b", at=1), completed("c")])
    ledger.compact()
    assert count_records(storage).completed == 3
    rows = stored(storage)
    assert [(row["id"], row[name]) for row in rows] == [("a", None), ("b", None), ("c", None)]


def test_a_column_of_another_type_is_an_error_at_open(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a", note="n")])
    other = record_schema(pa.schema([("note", pa.int64())]))
    with pytest.raises(LedgerError, match=r"column 'note' is string in .* and int64 in this run"):
        Ledger.open(storage, other)


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_a_truncated_part_is_named(storage: Storage, keep: int) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (part,) = storage.list("records")
    storage.write(part, storage.read(part)[:keep])
    with pytest.raises(LedgerError, match="move it out of records/") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri == storage.uri(part)


def test_a_part_with_a_flipped_byte_is_named(local: Storage) -> None:
    Ledger.open(local, SCHEMA).append([completed(f"r{n}") for n in range(100)])
    (part,) = local.list("records")
    data = bytearray(local.read(part))
    for at in range(100, 140):
        data[at] ^= 0xFF
    local.write(part, bytes(data))
    with pytest.raises(LedgerError, match="not a whole Parquet file"):
        count_records(local)


@pytest.mark.parametrize("name", ["notes.txt", "part-1.parquet", "old/part-0.parquet"])
def test_a_foreign_file_is_named(storage: Storage, name: str) -> None:
    storage.write(f"records/{name}", b"mine")
    with pytest.raises(LedgerError, match="not a file of records; move it out") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri.endswith(name)


def test_a_parquet_file_of_something_else_is_named(storage: Storage) -> None:
    part = part_of(storage, pa.table({"id": ["a"], "caption": ["c"]}))
    with pytest.raises(LedgerError, match=r"it lacks .*status") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri == storage.uri(part)


def test_a_flipped_byte_of_a_value_is_noticed(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("an-id-that-is-stored-as-it-is")])
    (part,) = storage.list("records")
    whole = storage.read(part)
    at = whole.index(b"an-id-that")  # in the data, ahead of the footer's statistics
    storage.write(part, whole[:at] + b"\x80" + whole[at + 1 :])
    with pytest.raises(LedgerError, match="not a whole Parquet file"):
        stored(storage)


def test_a_part_whose_column_names_are_damaged_is_named(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (part,) = storage.list("records")
    storage.write(part, storage.read(part).replace(b"schema_version", b"schema\x80version"))
    with pytest.raises(LedgerError, match="not a whole Parquet file") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri == storage.uri(part)


def test_files_of_the_desktop_and_of_killed_writers_are_no_parts(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (tmp_path / "records" / ".DS_Store").write_bytes(b"?")
    leftover = tmp_path / "records" / ".uso-00ff00ff00ff00ff.tmp"
    leftover.write_bytes(b"PAR1 half")
    assert Ledger.open(storage, SCHEMA).counts().completed == 1
    assert not leftover.exists()


def test_a_part_without_rows_is_fine(storage: Storage) -> None:
    part_of(storage, SCHEMA.empty_table())
    Ledger.open(storage, SCHEMA).append([completed("a")])
    assert len(stored(storage)) == 1


def test_the_fixed_columns_are_never_lost(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    assert set(stored(storage)[0]) >= {f.name for f in RECORD_FIELDS}


def test_a_ledger_error_survives_pickle() -> None:
    error = pickle.loads(pickle.dumps(LedgerError("s3://b/p", "broken")))
    assert str(error) == "s3://b/p: broken"
