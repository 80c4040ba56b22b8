"""Reading records in batches, and schemas that differ between runs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.errors import LedgerError
from pipelines.ledger import parts as ledger_parts
from pipelines.ledger.ledger import Ledger, count_records, iter_records
from pipelines.record import RECORD_FIELDS, record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, drop_column, failed, stored


def test_columns_and_batches_of_a_stream(storage: Storage) -> None:
    ledger = Ledger.open(storage, SCHEMA)
    ledger.append([completed(f"r{n:03}", note=str(n)) for n in range(25)])
    batches = list(iter_records(storage, ["note", "id"], batch_rows=10))
    assert [batch.num_rows for batch in batches] == [10, 10, 5]
    assert all(batch.schema.names == ["note", "id"] for batch in batches)
    with pytest.raises(LedgerError, match="no column 'nope'; there are id, status"):
        next(iter_records(storage, ["nope"]))


def test_a_large_part_is_read_in_ranges(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_parts, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(ledger_parts, "_WHOLE_LOCAL_BYTES", 1000)
    Ledger.open(storage, SCHEMA).append([completed(f"r{n:04}") for n in range(2000)])
    assert storage.sizes("records").popitem()[1] > 1000
    assert count_records(storage).completed == 2000
    assert [row["id"] for row in stored(storage, ["id"])] == [f"r{n:04}" for n in range(2000)]


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


def test_the_fixed_columns_are_never_lost(storage: Storage) -> None:
    Ledger.open(storage, SCHEMA).append([completed("a")])
    assert set(stored(storage)[0]) >= {f.name for f in RECORD_FIELDS}
