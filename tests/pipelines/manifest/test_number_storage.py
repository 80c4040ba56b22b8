"""Ids, given or made from the row, do not depend on the storage of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ComposeError
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.row_identity import content_hash
from pipelines.record import record_schema
from pipelines.rows import RejectedRow
from pipelines.storage.storage import Storage
from pipelines.tools.compose.chosen import ChosenRows
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config, entries, opened, rejected, valid, write
from tests.pipelines.records import completed

NUMBERS: dict[str, Any] = {"width": 512, "num_steps": 20, "seed": 7, "guidance": 2.5}
WEIGHTS, STYLES = [1.0, 0.5], ["s3://b/1.png", "s3://b/2.png"]
ROW = {"prompt": "a", **NUMBERS, "style_images": STYLES, "style_weights": WEIGHTS}


def of(kind: pa.DataType, whole: pa.DataType | None = None) -> Callable[[Any], pa.Array]:
    return lambda value: pa.array([value], whole if whole and value == int(value) else kind)


def decimal(value: Any) -> pa.Array:
    return pa.array([Decimal(str(value))], pa.decimal128(20, 3))


COLUMNS: dict[str, Callable[[Any], pa.Array]] = {
    "int16": of(pa.float64(), pa.int16()),
    "uint64": of(pa.float64(), pa.uint64()),
    "float64": of(pa.float64()),
    "float32": of(pa.float32()),
    "float16": of(pa.float16()),
    "decimal128": decimal,
    "decimal32": lambda value: decimal(value).cast(pa.decimal32(9, 3)),
    "text": lambda value: pa.array([str(value)]),
    "text with a point": lambda value: pa.array([f" {float(value)} "], pa.large_string()),
    "dictionary": lambda value: pa.array([str(value)]).dictionary_encode(),
}


def parquet(folder: Path, column: Callable[[Any], pa.Array]) -> Path:
    columns = {name: column(value) for name, value in NUMBERS.items()}
    rest = {"prompt": ["a"], "style_images": [STYLES], "style_weights": [WEIGHTS]}
    return write(folder / "m.parquet", {**columns, **rest})


def csv(folder: Path, *numbers: str) -> Path:
    """Write a row of these numbers and of `ROW`'s other cells."""
    lists = ",".join('"{}"'.format(json.dumps(it).replace('"', '""')) for it in (STYLES, WEIGHTS))
    names = ",".join(["prompt", *NUMBERS, "style_images", "style_weights"])
    path = folder / "m.csv"
    path.write_text(f"{names}\na,{','.join(numbers)},{lists}\n", encoding="utf-8")
    return path


def row_id(path: Path) -> str:
    (entry,) = entries(path)
    return valid(entry).id


@pytest.mark.parametrize("name", COLUMNS)
def test_a_row_of_parquet_has_one_id(tmp_path: Path, name: str) -> None:
    assert row_id(parquet(tmp_path, COLUMNS[name])) == content_hash(ROW)


@pytest.mark.parametrize(
    "numbers",
    [("512", "20", "7", "2.5"), ("512.0", "20", "7", "2.50"), (" 512", "2e1", "+7", "2.5")],
)
def test_a_row_of_csv_has_the_same_id(tmp_path: Path, numbers: tuple[str, ...]) -> None:
    assert row_id(csv(tmp_path, *numbers)) == content_hash(ROW)


@pytest.mark.parametrize("row", [ROW, {**ROW, "num_steps": 20.0, "width": 512.0}])
def test_a_row_of_json_has_the_same_id(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    assert row_id(path) == content_hash(ROW)


def test_a_row_keeps_the_id_with_which_an_older_version_recorded_it(tmp_path: Path) -> None:
    path = csv(tmp_path, "512", "20", "7", "2.50")
    texts = {"width": "512", "num_steps": "20", "seed": "7", "guidance": "2.50"}
    lists = {"style_images": json.dumps(STYLES), "style_weights": json.dumps(WEIGHTS)}
    old = content_hash({"prompt": "a", **texts, **lists})
    ledger = Ledger.open(Storage.at(str(tmp_path / "out")), record_schema(pa.schema([])))
    ledger.append([completed(old)])
    again = Ledger.open(Storage.at(str(tmp_path / "out")), record_schema(pa.schema([])))
    (batch,) = opened(path).batches(again.done_rows(retry_failed=False))
    assert [entry.row.id for entry in batch.entries] == [old]
    assert row_id(path) == content_hash(ROW) != old
    (chosen,) = ChosenRows({old}, new_seeds=False).rows(opened(path)).batches
    assert chosen["id"].to_pylist() == [old]


ROUNDED = [
    (pa.float64(), 2.0**53, "9007199254740992, which 64-bit floats round,"),
    (pa.float64(), -(2.0**53), "-9007199254740992, which 64-bit floats round,"),
    (pa.float64(), 1.2345678901234568e18, "1234567890123456768, which 64-bit floats round,"),
    (pa.float32(), 2.0**24, "16777216, which 32-bit floats round,"),
    (pa.float16(), 2.0**11, "2048, which 16-bit floats round,"),
]


@pytest.mark.parametrize(("kind", "value", "shown"), ROUNDED)
def test_an_id_that_floats_round_is_rejected(
    tmp_path: Path, kind: pa.DataType, value: float, shown: str
) -> None:
    before = {16: 2**11, 32: 2**24, 64: 2**53}[kind.bit_width] - 1
    columns = {"image_id": pa.array([value, float(before), 3.0], kind), "prompt": ["a", "b", "c"]}
    path = write(tmp_path / "m.parquet", columns)
    first, second, third = entries(path, manifest={"columns": {"id": "image_id"}})
    assert rejected(first).failure.message == (
        f"column image_id (id): {shown} is not accepted; give text of 1 to 256 characters, or an "
        "integer in a column of text or integers (pandas: string or Int64)"
    )
    assert valid(second).id == str(before)
    assert valid(third).id == "3"
    with pytest.raises(ComposeError, match=r"column 'image_id': .* round, is not accepted"):
        list(table_rows(config(path, manifest={"columns": {"id": "image_id"}})).batches)


def test_an_id_that_json_rounds_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(
        '{"id": 9007199254740993.0, "prompt": "a"}\n{"id": 9007199254740993, "prompt": "b"}'
    )
    first, second = entries(path)
    assert "which 64-bit floats round," in rejected(first).failure.message
    assert valid(second).id == "9007199254740993"


def test_neighbours_that_became_one_number_are_two_rejected_rows(tmp_path: Path) -> None:
    ids = pa.array([2**60 + 1, 2**60 + 2], pa.int64()).cast(pa.float64(), safe=False)
    first, second = entries(write(tmp_path / "m.parquet", {"id": ids, "prompt": ["a", "a"]}))
    assert rejected(first).id != rejected(second).id


GIVEN: dict[str, pa.Array] = {
    "int8": pa.array([7], pa.int8()),
    "uint64": pa.array([7], pa.uint64()),
    "float64": pa.array([7.0]),
    "float16": pa.array([7.0], pa.float16()),
    "decimal": pa.array([Decimal("7.00")]),
    "text": pa.array(["7"]),
    "view": pa.array(["7"], pa.string_view()),
    "bytes": pa.array([b"7"]),
    "dictionary": pa.array(["7"]).dictionary_encode(),
    "JSON": pa.ExtensionArray.from_storage(pa.json_(), pa.array(["7"])),
}


@pytest.mark.parametrize("name", GIVEN)
def test_equal_ids_of_another_type_are_repeats(tmp_path: Path, name: str) -> None:
    one = write(tmp_path / "1.parquet", {"id": pa.array([7]), "prompt": ["a"]})
    two = write(tmp_path / "2.parquet", {"id": GIVEN[name], "prompt": ["b"]})
    first, second = entries([str(one), str(two)])
    assert valid(first).id == "7"
    assert isinstance(second.row, RejectedRow)
    assert second.row.id == "7~2"


def test_uso_manifest_accepts_uuids(tmp_path: Path) -> None:
    ids = pa.array([bytes(16)], pa.uuid())
    path = write(tmp_path / "m.parquet", {"id": ids, "prompt": ["a"]})
    (batch,) = table_rows(config(path)).batches
    assert batch["id"].to_pylist() == [valid(entries(path)[0]).id]


@pytest.mark.parametrize("name", GIVEN)
def test_uso_manifest_gives_a_row_the_id_of_a_run(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "m.parquet", {"id": GIVEN[name], "prompt": ["a"]})
    (batch,) = table_rows(config(path)).batches
    assert batch["id"].to_pylist() == ["7"]
