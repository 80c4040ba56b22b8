"""An index of pandas that is in the file's metadata alone is a column like the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pytest

from tests.pipelines.manifests import entries, opened, valid, write


@pytest.mark.parametrize(("start", "step"), [(1, 1), (0, 5), (30, -3)])
def test_ids_in_an_index(tmp_path: Path, start: int, step: int) -> None:
    ids = range(start, start + 5000 * step, step)
    frame = pd.DataFrame({"prompt": "a"}, index=pd.RangeIndex(ids, name="id"))
    frame.to_parquet(tmp_path / "m.parquet", row_group_size=1700)
    found = entries(tmp_path / "m.parquet")
    assert [valid(entry).id for entry in found] == [str(number) for number in ids]
    assert opened(tmp_path / "m.parquet").extra_schema.names == []


def test_they_are_the_ids_of_the_same_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "prompt": list("abc")})
    frame.to_parquet(tmp_path / "column.parquet")
    frame.set_index("id").to_parquet(tmp_path / "index.parquet")
    first, second = (entries(tmp_path / f"{name}.parquet") for name in ("column", "index"))
    assert first == second


def test_an_own_column_and_a_mapped_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"prompt": ["a", "b"]}, index=pd.RangeIndex(7, 9, name="shot"))
    frame.to_parquet(tmp_path / "m.parquet")
    assert [entry.extra for entry in entries(tmp_path / "m.parquet")] == [{"shot": 7}, {"shot": 8}]
    found = entries(tmp_path / "m.parquet", manifest={"columns": {"id": "shot"}})
    assert [(valid(entry).id, entry.extra) for entry in found] == [("7", {}), ("8", {})]


def test_an_index_without_a_name_is_no_column(tmp_path: Path) -> None:
    pd.DataFrame({"prompt": ["a"]}).to_parquet(tmp_path / "m.parquet")
    assert opened(tmp_path / "m.parquet").extra_schema.names == []


@pytest.mark.parametrize(
    "index",
    [
        {"kind": "range", "name": "id", "start": 0, "stop": 3, "step": 1},  # of another table
        {"kind": "range", "name": "prompt", "start": 0, "stop": 1, "step": 1},
        {"kind": "range", "name": "id", "start": 0, "stop": 1, "step": 0},
        {"kind": "range", "name": "id", "start": 2**70, "stop": 2**70 + 1, "step": 1},
        {"kind": "range", "name": "id", "start": 0, "stop": "x", "step": 1},
        {"kind": "range", "name": ["id"], "start": 0, "stop": 1, "step": 1},
        {"kind": "range"},
        "id",
        None,
    ],
)
def test_other_metadata_changes_nothing(tmp_path: Path, index: Any) -> None:
    metadata = {"pandas": json.dumps({"index_columns": [index]})}
    table = pa.table({"prompt": ["a"]}).replace_schema_metadata(metadata)
    (entry,) = entries(write(tmp_path / "m.parquet", table))
    (plain,) = entries(write(tmp_path / "plain.parquet", {"prompt": ["a"]}))
    assert entry == plain


@pytest.mark.parametrize("metadata", ["", "{", "[]", '{"index_columns": 3}'])
def test_damaged_metadata_changes_nothing(tmp_path: Path, metadata: str) -> None:
    table = pa.table({"prompt": ["a"]}).replace_schema_metadata({"pandas": metadata})
    assert len(entries(write(tmp_path / "m.parquet", table))) == 1
