"""Own columns of every type that Parquet stores: packed, then read by `datasets` and DuckDB."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.formats import LayoutName
from pipelines.ledger.ledger import Ledger
from pipelines.packing.card import render
from pipelines.packing.json_fields import json_line
from pipelines.packing.pack import pack
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import LAYOUTS, generated, request
from tests.pipelines.packing.test_card import CARD

UTC = timezone.utc
NOON = datetime(2026, 1, 2, 12, 0, 0, 5000, UTC).replace(tzinfo=None)
ID = uuid.UUID(int=2**100 + 7)
TENSOR = pa.fixed_shape_tensor(pa.int32(), [2, 2])
WORD = pa.dictionary(pa.int32(), pa.string())
BERLIN = pa.timestamp("us", tz="Europe/Berlin")
MAP, ENTRIES = pa.map_(pa.string(), pa.int64()), [{"key": "k", "value": 1}]
SECONDS, LAPSE = [pa.duration(unit) for unit in ("s", "ms", "us", "ns")], timedelta(seconds=90)
DEEP = pa.struct([("m", MAP), ("d", pa.list_(pa.duration("ms"))), ("w", WORD)])
AGE = Decimal("-1.50")
HALF = Decimal("1234567890123456789012345678901234567890.25")

# A value as records hold it, the value that `datasets` gives, and DuckDB's type.
CASES: list[tuple[pa.DataType, Any, Any, str]] = [
    (pa.null(), None, None, '"NULL"'),
    (pa.bool_(), True, True, "BOOLEAN"),
    (pa.int8(), -3, -3, "TINYINT"),
    (pa.int16(), -3, -3, "SMALLINT"),
    (pa.int32(), -3, -3, "INTEGER"),
    (pa.int64(), -(2**62), -(2**62), "BIGINT"),
    (pa.uint8(), 3, 3, "UTINYINT"),
    (pa.uint16(), 3, 3, "USMALLINT"),
    (pa.uint32(), 3, 3, "UINTEGER"),
    (pa.uint64(), 2**62, 2**62, "UBIGINT"),
    (pa.float16(), 0.5, 0.5, "FLOAT"),
    (pa.float32(), 0.5, 0.5, "FLOAT"),
    (pa.float64(), 0.1, 0.1, "DOUBLE"),
    (pa.string(), "ä", "ä", "VARCHAR"),
    (pa.large_string(), "ä", "ä", "VARCHAR"),
    (pa.string_view(), "ä" * 20, "ä" * 20, "VARCHAR"),
    (pa.binary(), b"\xff", b"\xff", "BLOB"),
    (pa.large_binary(), b"\xff", b"\xff", "BLOB"),
    (pa.binary_view(), b"\xff" * 20, b"\xff" * 20, "BLOB"),
    (pa.binary(3), b"abc", b"abc", "BLOB"),
    (pa.decimal32(5, 2), AGE, AGE, "DECIMAL(5,2)"),
    (pa.decimal64(12, 2), AGE, AGE, "DECIMAL(12,2)"),
    (pa.decimal128(20, 2), AGE, AGE, "DECIMAL(20,2)"),
    (pa.decimal256(20, 2), AGE, AGE, "DECIMAL(20,2)"),
    (pa.decimal256(50, 2), HALF, str(HALF), "VARCHAR"),
    (pa.date32(), date(2026, 1, 2), date(2026, 1, 2), "DATE"),
    (pa.date64(), date(2026, 1, 2), date(2026, 1, 2), "DATE"),
    (pa.time32("s"), time(1, 2, 3), time(1, 2, 3), "TIME"),
    (pa.time32("ms"), time(1, 2, 3), time(1, 2, 3), "TIME"),
    (pa.time64("us"), time(1, 2, 3, 4), time(1, 2, 3, 4), "TIME"),
    (pa.time64("ns"), time(1, 2, 3, 4), time(1, 2, 3, 4), "TIME_NS"),
    (pa.timestamp("s"), NOON.replace(microsecond=0), NOON.replace(microsecond=0), "TIMESTAMP"),
    (pa.timestamp("ms"), NOON, NOON, "TIMESTAMP"),
    (pa.timestamp("us"), NOON, NOON, "TIMESTAMP"),
    (pa.timestamp("ns"), NOON, NOON, "TIMESTAMP_NS"),
    (pa.timestamp("ms", tz="UTC"), NOON, NOON.replace(tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
    (pa.timestamp("us", tz="+02:00"), NOON, NOON.replace(tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
    (BERLIN, NOON, NOON.replace(tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
    (pa.timestamp("ns", tz="UTC"), NOON, NOON.replace(tzinfo=UTC), "TIMESTAMPTZ_NS"),
    *((seconds, LAPSE, 90.0, "DOUBLE") for seconds in SECONDS),
    (WORD, "a", "a", "VARCHAR"),
    (pa.dictionary(pa.int8(), pa.int64()), 5, 5, "BIGINT"),
    (pa.list_(pa.int64()), [1, None], [1, None], "BIGINT[]"),
    (pa.large_list(pa.int64()), [1, None], [1, None], "BIGINT[]"),
    (pa.list_(pa.int64(), 2), [1, None], [1, None], "BIGINT[]"),
    (pa.list_view(pa.int64()), [1, None], [1, None], "BIGINT[]"),
    (pa.large_list_view(pa.int64()), [1, None], [1, None], "BIGINT[]"),
    (pa.list_(WORD), ["a"], ["a"], "VARCHAR[]"),
    (pa.list_(pa.decimal32(5, 2)), [AGE], [AGE], "DECIMAL(5,2)[]"),
    (pa.struct([("a", pa.int64())]), {"a": 1}, {"a": 1}, "STRUCT(a BIGINT)"),
    (
        DEEP,
        {"m": [("k", 1)], "d": [LAPSE], "w": "a"},
        {"m": ENTRIES, "d": [90.0], "w": "a"},
        'STRUCT(m STRUCT("key" VARCHAR, "value" BIGINT)[], d DOUBLE[], w VARCHAR)',
    ),
    (MAP, [("k", 1)], ENTRIES, 'STRUCT("key" VARCHAR, "value" BIGINT)[]'),
    (pa.uuid(), ID.bytes, str(ID), "VARCHAR"),
    (pa.json_(), '{"a":1}', {"a": 1}, "JSON"),
    (pa.bool8(), 1, True, "BOOLEAN"),
    (TENSOR, [1, 2, 3, 4], [1, 2, 3, 4], "INTEGER[]"),
    (pa.opaque(pa.int32(), "t", "v"), 7, 7, "INTEGER"),
]


NUMBERS = pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: str(CASES[n][0]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset per layout, with a column per case; the second row has nulls only."""
    folder = tmp_path_factory.mktemp("types")
    output = Storage.at(str(folder / "out"))
    values: dict[str, Any] = {f"c{number}": value for number, (_, value, _, _) in enumerate(CASES)}
    nothing: dict[str, Any] = dict.fromkeys(values)
    rows = [generated(output, "1", seed=1, **values), generated(output, "2", seed=2, **nothing)]
    columns = [pa.field(f"c{number}", kind) for number, (kind, *_) in enumerate(CASES)]
    Ledger.open(output, record_schema(pa.schema(columns))).append(rows)
    for layout in LAYOUTS:
        pack(request(output, Storage.at(str(folder / layout)), layout))
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows that `datasets` gives: of Parquet, of Parquet streamed, and of WebDataset."""

    def rows(layout: LayoutName, *, streaming: bool = False) -> list[dict[str, Any]]:
        cache = str(folder / "cache")
        data = datasets.load_dataset(
            str(folder / layout), split="train", cache_dir=cache, streaming=streaming
        )
        return sorted((row.get("json", row) for row in data), key=lambda row: str(row["id"]))

    return {
        "parquet": rows("parquet"),
        "streamed": rows("parquet", streaming=True),
        "webdataset": rows("webdataset"),
    }


@NUMBERS
@pytest.mark.parametrize("how", ["parquet", "streamed"])
def test_datasets_reads_it(loaded: dict[str, list[dict[str, Any]]], number: int, how: str) -> None:
    given = CASES[number][2]
    assert [row[f"c{number}"] for row in loaded[how]] == [given, None]


@NUMBERS
def test_duckdb_reads_it(folder: Path, number: int) -> None:
    kind, value, given, named = CASES[number]
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    cell = (
        f"c{number}::TIMESTAMPTZ::TIMESTAMP" if zoned else f"c{number}"
    )  # a zone needs pytz in Python
    query = f"SELECT {cell}, typeof(c{number}) FROM '{folder}/parquet/data/*.parquet' ORDER BY id"
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        (found, found_type), (empty, _) = connection.sql(query).fetchall()
    expected = given.replace(tzinfo=None) if zoned else given
    assert found == (value if kind == pa.json_() else expected)
    assert empty is None
    assert found_type == named


@NUMBERS
def test_the_json_of_webdataset_has_the_same_value(
    loaded: dict[str, list[dict[str, Any]]], number: int
) -> None:
    kind, value, given, _ = CASES[number]
    # As JSON has them: see `json_line`.
    expected = json.loads(json_line({"c": value if kind == pa.json_() else given}))["c"]
    found, empty = (row[f"c{number}"] for row in loaded["webdataset"])
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        assert datetime.fromisoformat(found) == given
    else:
        assert found == expected
    assert empty is None


def test_the_card_names_the_converted_columns(folder: Path) -> None:
    card = (folder / "parquet" / "README.md").read_text()
    numbers = {str(kind): number for number, (kind, *_) in enumerate(CASES)}
    spelled = {"duration[us]": "double", "extension<arrow.uuid>": "string"}
    for kind, stored in spelled.items():
        assert f"| `c{numbers[kind]}` | `{stored}`, converted from `{kind}` |" in card
    assert f"| `c{numbers['large_string']}` | `large_string` |" in card
    assert "durations are seconds" in card
    assert "converted" not in render(CARD)


@pytest.mark.parametrize(
    "kind",
    [
        pa.run_end_encoded(pa.int32(), pa.int64()),
        pa.month_day_nano_interval(),
        pa.struct([]),
        pa.dense_union([pa.field("a", pa.int8())]),
    ],
    ids=str,
)
def test_records_cannot_have_it(kind: pa.DataType) -> None:
    with pytest.raises(pa.ArrowNotImplementedError):
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([("c", kind)]))
