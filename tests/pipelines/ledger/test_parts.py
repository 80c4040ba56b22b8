"""Foreign and damaged files among the parts."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LedgerError
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, stored


def part_of(storage: Storage, table: pa.Table, name: str = "0" * 32) -> str:
    """Write a foreign table as a part of the records."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    path = f"records/part-{name}.parquet"
    storage.write(path, sink.getvalue())
    return path


@pytest.mark.parametrize("keep", [0, 10, -10])
def test_a_truncated_part_is_named(storage: Storage, keep: int) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (part,) = storage.list("records")
    storage.write(part, storage.read(part)[:keep])
    with pytest.raises(LedgerError, match="move it out of records/") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri == storage.uri(part)


def test_a_part_with_a_flipped_byte_is_named(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed(f"r{n}") for n in range(100)])
    (part,) = storage.list("records")
    data = bytearray(storage.read(part))
    for at in range(100, 140):
        data[at] ^= 0xFF
    storage.write(part, bytes(data))
    with pytest.raises(LedgerError, match="not a complete Parquet file"):
        count_records(storage)


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
    at = whole.index(b"an-id-that")  # in the data, which precedes the footer's statistics
    storage.write(part, whole[:at] + b"\x80" + whole[at + 1 :])
    with pytest.raises(LedgerError, match="not a complete Parquet file"):
        stored(storage)


def test_a_part_whose_column_names_are_damaged_is_named(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    (part,) = storage.list("records")
    storage.write(part, storage.read(part).replace(b"schema_version", b"schema\x80version"))
    with pytest.raises(LedgerError, match="not a complete Parquet file") as caught:
        Ledger.open(storage, SCHEMA)
    assert caught.value.uri == storage.uri(part)


def test_files_of_the_desktop_and_of_killed_writers_are_not_parts(tmp_path: Path) -> None:
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


def test_a_ledger_error_survives_pickle() -> None:
    error = pickle.loads(pickle.dumps(LedgerError("s3://b/p", "broken")))
    assert str(error) == "s3://b/p: broken"
