from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.manifest.row_identity import content_hash
from pipelines.rows import ManifestRow, RejectedRow
from tests.pipelines.manifests import entries, opened, rejected, valid, write


def test_ids_are_text_integers_or_uuids(tmp_path: Path) -> None:
    for name, column, shown in (
        ("int", pa.array([5, 6]), ["5", "6"]),
        ("float", pa.array([5.0, 6.0]), ["5", "6"]),
        ("text", pa.array(["../../x", "ü" * 256]), ["../../x", "ü" * 256]),
        ("uuid", pa.array([uuid.UUID(int=1).bytes] * 1, pa.uuid()), [str(uuid.UUID(int=1))]),
    ):
        path = write(tmp_path / f"{name}.parquet", {"id": column, "prompt": ["p"] * len(column)})
        assert [valid(entry).id for entry in entries(path)] == shown


def test_without_ids_the_content_is_the_id(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"prompt": ["a", "b", "a", "a"], "label": [1, 2, 3, 4]}
    found = [e.row.id for e in entries(write(tmp_path / "m.parquet", rows))]
    first, second = content_hash({"prompt": "a"}), content_hash({"prompt": "b"})
    assert found == [first, second, f"{first}-2", f"{first}-3"]
    moved = {"prompt": ["b", "new", "a"], "label": [1, 2, 3]}
    after = [e.row.id for e in entries(write(tmp_path / "m2.parquet", moved))]
    assert (after[0], after[2]) == (second, first)


def test_identical_rows_without_an_id_differ_in_their_seed(tmp_path: Path) -> None:
    found = entries(write(tmp_path / "m.parquet", {"prompt": ["a", "a"]}))
    assert len({valid(entry).parameters.seed for entry in found}) == 2


def test_a_second_row_with_an_id_is_rejected_under_another(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["a", "a", "b", "a"], "prompt": list("wxyz")})
    first, second, third, fourth = entries(path)
    assert valid(first).prompt == "w"
    assert valid(third).id == "b"
    assert (second.row.id, fourth.row.id) == ("a~2", "a~3")
    assert "an earlier row has the id 'a' too" in rejected(second).failure.message
    assert rejected(fourth).prompt == "z"


def test_an_id_that_is_not_accepted_gives_way_to_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["x" * 257, "", "ok"], "prompt": ["a", "b", "c"]})
    found = entries(path)
    assert [type(entry.row) for entry in found] == [RejectedRow, RejectedRow, ManifestRow]
    assert all(len(entry.row.id) == 32 for entry in found[:2])
    assert "column id" in rejected(found[1]).failure.message


def test_shards_split_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": [*range(200), 7], "prompt": ["p"] * 201})
    shards = [entries(path, manifest={"shard": f"{index}/3"}) for index in range(3)]
    ids = Counter(entry.row.id for shard in shards for entry in shard)
    assert sorted(ids) == sorted([*map(str, range(200)), "7~2"])
    assert set(ids.values()) == {1}
    assert all(len(shard) > 40 for shard in shards)
    assert opened(path, manifest={"shard": "0/3"}).total_rows is None
