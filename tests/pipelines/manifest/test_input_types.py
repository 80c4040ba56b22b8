"""Our own columns in every Arrow type that can hold them: the same row in each."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.rows import ManifestRow
from tests.pipelines.manifests import entries, rejected, valid, write

Column = Callable[[list[Any]], pa.Array]


def of(kind: pa.DataType) -> Column:
    return lambda values: pa.array(values, kind)


def in_json(storage: pa.DataType) -> Column:
    return lambda values: pa.ExtensionArray.from_storage(
        pa.json_(storage),
        pa.array([None if value is None else json.dumps(value) for value in values], storage),
    )


def in_dictionary(kind: pa.DataType) -> Column:
    return lambda values: pa.array(values, kind).dictionary_encode()


def bytes_of(kind: pa.DataType) -> Column:
    return lambda values: pa.array([v if v is None else v.encode() for v in values], kind)


TEXTS: dict[str, Column] = {
    "string": of(pa.string()),
    "large_string": of(pa.large_string()),
    "string_view": of(pa.string_view()),
    "dictionary": in_dictionary(pa.string()),
    "dictionary of large": in_dictionary(pa.large_string()),
    "binary": bytes_of(pa.binary()),
    "large_binary": bytes_of(pa.large_binary()),
    "binary_view": bytes_of(pa.binary_view()),
    "JSON": in_json(pa.string()),
    "large JSON": in_json(pa.large_string()),
    "JSON in views": in_json(pa.string_view()),
}
NUMBERS: dict[str, Column] = {
    **{str(kind): of(kind) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(kind): of(kind) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{str(kind): of(kind) for kind in (pa.float16(), pa.float32(), pa.float64())},
    "decimal32": lambda values: pa.array(map(Decimal, values), pa.decimal32(9, 2)),
    "decimal128": lambda values: pa.array(map(Decimal, values), pa.decimal128(30, 5)),
    "decimal256": lambda values: pa.array(map(Decimal, values), pa.decimal256(50, 5)),
    "string": lambda values: pa.array(map(str, values)),
    "string_view": lambda values: pa.array(map(str, values), pa.string_view()),
    "dictionary": in_dictionary(pa.int64()),
    "JSON": in_json(pa.string()),
}
LISTS: dict[str, Column] = {
    "list": of(pa.list_(pa.string())),
    "large_list": of(pa.large_list(pa.large_string())),
    "fixed_size_list": of(pa.list_(pa.string(), 2)),
    "list_view": of(pa.list_view(pa.string())),
    "list of views": of(pa.list_(pa.string_view())),
    "list of dictionaries": lambda values: pa.ListArray.from_arrays(
        [0, 2], pa.array(values[0]).dictionary_encode()
    ),
    "list of JSON": lambda values: pa.ListArray.from_arrays(
        [0, 2], in_json(pa.string())(values[0])
    ),
    "JSON": in_json(pa.string()),
    "text": lambda values: pa.array([json.dumps(value) for value in values]),
}


def row_of(folder: Path, **columns: pa.Array) -> ManifestRow:
    (entry,) = entries(write(folder / "m.parquet", pa.table(columns)))
    return valid(entry)


@pytest.mark.parametrize("name", TEXTS)
def test_texts(tmp_path: Path, name: str) -> None:
    made, plain = TEXTS[name], TEXTS["string"]
    ours = {"id": ["a-1"], "prompt": ['a "quoted" cat']}
    # Bytes in a column of references are a picture, not a path.
    paths = plain if "binary" in name else made
    pictures = {"content_image": ["photo.png"], "style_image": ["s3://b/paint.png"]}

    def row(text: Column, path: Column) -> ManifestRow:
        columns = {column: text(values) for column, values in ours.items()}
        columns |= {column: path(values) for column, values in pictures.items()}
        return row_of(tmp_path, **columns)

    assert row(made, paths) == row(plain, plain)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(tmp_path: Path, name: str) -> None:
    seed, steps = NUMBERS[name]([7]), NUMBERS[name]([20])
    row = row_of(tmp_path, id=pa.array(["a"]), prompt=pa.array(["p"]), seed=seed, num_steps=steps)
    assert (row.parameters.seed, row.parameters.num_steps) == (7, 20)


@pytest.mark.parametrize("name", LISTS)
def test_lists(tmp_path: Path, name: str) -> None:
    styles = LISTS[name]([["s3://b/1.png", "s3://b/2.png"]])
    row = row_of(tmp_path, prompt=pa.array(["p"]), style_images=styles)
    assert row.style_images == ("s3://b/1.png", "s3://b/2.png")


def test_json_that_is_damaged_rejects_its_row(tmp_path: Path) -> None:
    texts = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{", '"a"', "7", "null"]))
    first, second, third, fourth = entries(write(tmp_path / "m.parquet", {"prompt": texts}))
    assert "text that is not JSON" in rejected(first).failure.message
    assert valid(second).prompt == "a"
    assert "7 is not accepted; give text" in rejected(third).failure.message
    assert valid(fourth).prompt == ""
