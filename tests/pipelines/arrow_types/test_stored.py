"""A user's columns of unusual types: manifest, records, a second run; or a refusal by name."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.arrow_types.shown import rows_of, values_of
from pipelines.arrow_types.stored import stored_type, why_not_stored
from pipelines.errors import ManifestError
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.manifest.manifest import Manifest
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from tests.fuzz.arrow_types import exact
from tests.pipelines.manifests import opened, write
from tests.pipelines.records import completed

POLARS = Path(__file__).with_name("polars.parquet")
DAY_US = 86_400 * 10**6
WORDS = pa.array(["a", None, "b"]).dictionary_encode()
UUIDS = pa.array([bytes(16), None, b"b" * 16], pa.uuid())
TEXT_VIEWS = pa.array(["long enough to be apart", None, "b"], pa.string_view())


def ticks(kind: pa.DataType, *values: int) -> pa.Array:
    return pa.array([values[0], None, values[-1]], pa.int64()).cast(kind)


COLUMNS: dict[str, pa.Array] = {
    "lists of dictionaries": pa.ListArray.from_arrays([0, 1, 2, 3], WORDS),
    "sized lists of dictionaries": pa.FixedSizeListArray.from_arrays(WORDS, 1),
    "structs of dictionaries": pa.StructArray.from_arrays([WORDS], ["word"]),
    "maps to dictionaries": pa.MapArray.from_arrays([0, 1, 2, 3], pa.array(["x"] * 3), WORDS),
    "text views": TEXT_VIEWS,
    "byte views": pa.array([b"\xff" * 20, None, b""], pa.binary_view()),
    "lists of views": pa.array([["long enough to be apart"], None, []], pa.list_(pa.string_view())),
    "views of lists": pa.array([["a"], None, []], pa.list_view(pa.string())),
    "the end of the day": ticks(pa.time64("us"), DAY_US, 1),
    "the end of the day, in ns": ticks(pa.time64("ns"), DAY_US * 1000, 1),
    "the ends of days": pa.ListArray.from_arrays([0, 1, 2, 3], ticks(pa.time64("us"), DAY_US)),
    "the first nanosecond": ticks(pa.timestamp("ns", "UTC"), -(2**63), 2**63 - 1),
    "an unknown zone": ticks(pa.timestamp("us", "Mars/Olympus"), 1),
    "seconds": ticks(pa.timestamp("s", "UTC"), 1),
    "lists of UUIDs": pa.ListArray.from_arrays([0, 1, 2, 3], UUIDS),
    "maps to UUIDs": pa.MapArray.from_arrays([0, 1, 2, 3], pa.array(["x"] * 3), UUIDS),
    "JSON in views": pa.ExtensionArray.from_storage(pa.json_(pa.string_view()), TEXT_VIEWS),
    "lists of nulls": pa.array([[None, None], None, []], pa.list_(pa.null())),
    "sized lists of nulls": pa.array([[None], None, [None]], pa.list_(pa.null(), 1)),
    "decimals": pa.array([None] * 3, pa.decimal256(76, 10)),
}


def recorded(manifest: Manifest, output: Storage) -> None:
    """Record all rows as a run does, in two parts, and compact them."""
    ledger = Ledger.open(output, record_schema(manifest.extra_schema))
    facts = RunFacts(run_id="run", model="base", preset="exact")
    for entry in manifest.entries():
        outcome = Outcome(row_id=entry.row.id)
        stamp = ledger.stamp()
        ledger.append([make_record(entry, outcome, facts, attempt=1, created_at=stamp)])
    ledger.compact()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_equal_after_two_runs(tmp_path: Path, name: str) -> None:
    table = pa.table({"id": ["a", "b", "c"], "prompt": ["p"] * 3, "own": COLUMNS[name]})
    path = write(tmp_path / "m.parquet", table, row_group_size=1)
    output = Storage.at(str(tmp_path / "out"))
    recorded(opened(path), output)
    recorded(opened(path), output)
    found = pa.Table.from_batches(iter_records(output, ["id", "own"])).sort_by("id")["own"]
    assert [exact(cell) for cell in found] == [exact(cell) for cell in COLUMNS[name]]
    assert found.type == stored_type(COLUMNS[name].type)


def test_a_column_of_many_files_has_more_words_than_the_index_of_each(tmp_path: Path) -> None:
    small = pa.dictionary(pa.int8(), pa.string())
    for number in range(2):
        words = pa.array([f"{number}-{word}" for word in range(100)]).dictionary_encode()
        table = pa.table({"prompt": ["p"] * 100, "own": words.cast(small)})
        write(tmp_path / f"m{number}.parquet", table)
    output = Storage.at(str(tmp_path / "out"))
    manifest = opened(tmp_path)
    ledger = Ledger.open(output, record_schema(manifest.extra_schema))
    facts = RunFacts(run_id="run", model="base", preset="exact")
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    ledger.append(
        [
            make_record(entry, Outcome(row_id=entry.row.id), facts, attempt=1, created_at=now)
            for entry in manifest.entries()
        ]
    )
    words = {word for batch in iter_records(output, ["own"]) for word in batch["own"].to_pylist()}
    assert len(words) == 200


@pytest.mark.parametrize("name", ["lists of dictionaries", "text views", "lists of views"])
def test_parts_of_older_versions_are_read(name: str) -> None:
    """Write parts with the column's own type, as older versions did."""
    output = Storage.at("memory://older-types/out")
    own = COLUMNS[name]
    rows = [completed(row_id) for row_id in "abc"]
    table = pa.Table.from_pylist(rows, schema=record_schema(pa.schema([])))
    sink = pa.BufferOutputStream()
    pq.write_table(table.append_column("own", own), sink, row_group_size=1)
    output.write(f"records/part-{'0' * 32}.parquet", sink.getvalue().to_pybytes())
    ledger = Ledger.open(output, record_schema(pa.schema([("own", own.type)])))
    ledger.append([completed("d", own=None)])
    ledger.compact()
    found = pa.Table.from_batches(iter_records(output, ["id", "own"])).sort_by("id")["own"]
    assert [exact(cell) for cell in found][:3] == [exact(cell) for cell in own]
    for path in output.list("records"):
        output.delete(path)


REFUSED: dict[str, pa.DataType] = {
    "Parquet has no struct without fields": pa.struct([]),
    "its struct has two fields of one name": pa.struct([("a", pa.int8()), ("a", pa.int8())]),
    "Parquet has no list of size 0": pa.list_(pa.int8(), 0),
    "Parquet has no decimal with a negative scale": pa.decimal128(5, -2),
    "Parquet has no such type": pa.month_day_nano_interval(),
    "Parquet has no type for any of several": pa.dense_union([pa.field("a", pa.int8())]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_type_that_cannot_be_stored_has_a_reason(reason: str) -> None:
    kind = REFUSED[reason]
    for deep in (kind, pa.list_(kind), pa.struct([("a", kind)]), pa.run_end_encoded("int32", kind)):
        assert why_not_stored(pa.field("own", deep)) == reason


def test_a_type_of_which_no_file_can_be_written_is_its_values() -> None:
    assert stored_type(pa.run_end_encoded(pa.int32(), pa.string_view())) == pa.string()


@pytest.mark.parametrize("column", ["sizes", "twice"])
def test_a_column_that_cannot_be_recorded_is_refused_by_name(tmp_path: Path, column: str) -> None:
    sizes = pa.array([[], []], pa.list_(pa.int8(), 0))
    twice = pa.StructArray.from_arrays([pa.array([1, 2])] * 2, ["a", "a"])
    own = {"sizes": sizes, "twice": twice}[column]
    path = write(tmp_path / "m.parquet", pa.table({"prompt": ["a", "b"], column: own}))
    with pytest.raises(ManifestError, match=f"its column '{column}' cannot be recorded") as caught:
        opened(path)
    assert caught.value.where == str(path)
    assert len(list(opened(path, manifest={"keep_columns": "none"}).entries())) == 2
    assert len(list(opened(path, manifest={"keep_columns": []}).entries())) == 2


@pytest.mark.parametrize("column", ["wide", "wides"])
def test_integers_of_128_bits_are_refused_by_name(tmp_path: Path, column: str) -> None:
    path = shutil.copy(POLARS, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=f"'{column}' cannot be recorded: Arrow has no integer"):
        opened(path, manifest={"keep_columns": [column]})
    with pytest.raises(ManifestError, match=f"'{column}' cannot be recorded"):
        opened(path, manifest={"columns": {"seed": column}, "keep_columns": "none"})


def test_other_columns_beside_integers_of_128_bits(tmp_path: Path) -> None:
    path = shutil.copy(POLARS, tmp_path / "m.parquet")
    assert len(list(opened(path, manifest={"keep_columns": "none"}).entries())) == 2
    kept = ["labels", "grade", "took"]
    output = Storage.at(str(tmp_path / "out"))
    for _ in range(2):
        recorded(opened(path, manifest={"keep_columns": kept}), output)
    rows = [row for batch in iter_records(output, ["prompt", *kept]) for row in rows_of(batch)]
    rows.sort(key=lambda row: str(row["prompt"]))
    assert [row["labels"] for row in rows] == [["x", "y"], ["y"]]
    assert [row["grade"] for row in rows] == ["good", None]
    assert rows[0]["took"].total_seconds() == 90


SHOWN = [
    (ticks(pa.time64("us"), DAY_US), "24:00:00"),
    (ticks(pa.timestamp("us"), 2**63 - 1), "9223372036854775807 timestamp[us]"),
    (ticks(pa.timestamp("us", "Mars/Olympus"), 10**6), "1970-01-01T00:00:01.000000Z"),
    (ticks(pa.date64(), 10**8 * 86_400_000), "8640000000000000 date64[ms]"),
    (pa.array([b"a\xff"]).view(pa.string()), "a\N{REPLACEMENT CHARACTER}"),
    (pa.StructArray.from_arrays([ticks(pa.time64("ns"), 1000 * DAY_US)], ["t"]), {"t": "24:00:00"}),
    (
        pa.MapArray.from_arrays([0, 1], pa.array(["k"]), ticks(pa.time64("us"), DAY_US)[:1]),
        [("k", "24:00:00")],
    ),
]


@pytest.mark.parametrize("number", range(len(SHOWN)), ids=lambda n: str(SHOWN[n][0].type))
def test_a_cell_without_a_python_value_is_shown_as_text(number: int) -> None:
    column, text = SHOWN[number]
    assert values_of(column)[0] == text
