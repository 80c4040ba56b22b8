"""The layout `folder`: it loads with its types, and old images leave it."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from pipelines.errors import PackError
from pipelines.packing.folder_shard import IMAGE_FOLDER
from pipelines.packing.pack import PackFacts, pack
from pipelines.packing.shard import write_shard
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.mortal_storage import KilledError, MortalStorage
from tests.pipelines.packing.outputs import generated, request
from tests.pipelines.tools.report.outputs import commit


def packed(folder: Path, **options: Any) -> PackFacts:
    output, dest = (Storage.at(str(folder / name)) for name in ("out", "set"))
    return pack(request(output, dest, "folder", **options))


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "set/data/train/metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def images(folder: Path) -> list[str]:
    return sorted(
        str(p.relative_to(folder / "set/data/train")) for p in folder.rglob("set/**/*.png")
    )


def test_the_lines_name_the_images_and_no_other_is_left_after_a_change(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, *(generated(output, f"r{n}", seed=n) for n in range(9)))
    assert packed(tmp_path).shards > 1
    assert images(tmp_path) == sorted(line["file_name"] for line in lines(tmp_path))
    assert packed(tmp_path).written == 0
    commit(output, generated(output, "r3", images=3, seed=4, at=1))
    assert 0 < packed(tmp_path).written < packed(tmp_path, shard_images=100).shards + 8
    assert images(tmp_path) == sorted(line["file_name"] for line in lines(tmp_path))
    assert len(images(tmp_path)) == 11
    assert list((tmp_path / "set/data/train").iterdir()) != []
    assert len(list((tmp_path / "set").rglob(".contents"))) == 1  # those of the smaller shards went


def test_a_lost_image_leaves_the_dataset_as_it_was(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, *(generated(output, f"r{n}", seed=n) for n in range(3)))
    packed(tmp_path)
    before = images(tmp_path), lines(tmp_path)
    commit(output, generated(output, "r0", seed=9, at=1), generated(output, "r1", seed=9, at=1))
    (lost,) = (path for path in output.list("images") if "r1" in path)
    output.delete(lost)
    with pytest.raises(PackError, match="r1"):
        packed(tmp_path)
    assert (images(tmp_path), lines(tmp_path)) == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", range(1, 6))
def test_a_kill_at_any_change_is_mended_by_the_next_packing(
    tmp_path: Path, change: int, after: bool
) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, *(generated(output, f"r{n}", seed=n) for n in range(4)))
    assert packed(tmp_path, shard_images=100).shards == 1
    commit(output, *(generated(output, f"r{n}", seed=10 + n, at=1) for n in range(5)))
    mortal = MortalStorage(str(tmp_path / "set"), {}, dies_at=change, after=after)
    with pytest.raises(KilledError):
        pack(request(output, mortal, "folder", shard_images=3), partial(map, write_shard))
    packed(tmp_path, shard_images=3)
    assert images(tmp_path) == sorted(line["file_name"] for line in lines(tmp_path))
    for line in lines(tmp_path):
        data = (tmp_path / "set/data/train" / line["file_name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line["sha256"]
    assert sorted(line["id"] for line in lines(tmp_path)) == [f"r{n}" for n in range(5)]


def test_values_that_few_rows_have_load_with_their_types(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, *(generated(output, f"r{n}", seed=n) for n in range(20)))
    commit(output, generated(output, "late", score=0.5, note="seen", content="/p/a.jpg"))
    assert packed(tmp_path).shards > 2
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "c")
    )
    (late,) = (row for row in data if row["id"] == "late")
    assert (late["score"], late["note"], late["content_image"]) == (0.5, "seen", "/p/a.jpg")
    assert len(data) == 21
    assert lines(tmp_path)[0]["id"] == "late" or lines(tmp_path)[1]["id"] == "late"


@pytest.mark.parametrize("name", ["file_name", "source_file_name", "file_names"])
def test_a_column_that_the_loader_would_take_for_images_is_renamed(name: str) -> None:
    samples = record_schema(pa.schema([(name, pa.string())]))
    assert f"{name}_" in IMAGE_FOLDER.columns(samples).names
    assert name not in IMAGE_FOLDER.columns(samples).names
