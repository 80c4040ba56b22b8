"""Packing: the contents of the shards follow from the records, whatever happened before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.errors import PackError, StorageError
from pipelines.formats import LayoutName
from pipelines.ledger.ledger import Ledger
from pipelines.packing.pack import INDEX_PATH, pack
from pipelines.packing.shard import ShardResult, ShardTask, write_shard
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.pipelines.mortal_storage import KilledError, MortalStorage
from tests.pipelines.packing.outputs import (
    LAYOUTS,
    digests,
    expected_digests,
    generated,
    request,
    samples,
    shard_paths,
    shards,
)
from tests.pipelines.records import drop_column
from tests.pipelines.tools.report.outputs import commit, failed
from tests.s3_server import S3Server


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder in memory, for speed, or the parameter `disk`."""
    if getattr(request, "param", "memory") == "disk":
        yield str(tmp_path)
        return
    yield "memory://packing"
    memory = MemoryFileSystem()
    if memory.exists("/packing"):
        memory.rm("/packing", recursive=True)


@pytest.fixture
def output(root: str) -> Storage:
    return Storage.at(f"{root}/out")


@pytest.fixture
def dest(root: str) -> Storage:
    return Storage.at(f"{root}/packed")


def some_rows(output: Storage, count: int, **own: Any) -> list[dict[str, Any]]:
    return [generated(output, f"row-{n}", seed=n, **own) for n in range(count)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_completed_row_is_packed_once_with_its_images(
    output: Storage, dest: Storage, layout: LayoutName
) -> None:
    rows = [
        *some_rows(output, 20, score=0.5, note="ä | b"),
        generated(output, "A dotted.id", images=3, seed=21),
        generated(output, "a.b", images=2, seed=22),
    ]
    commit(output, *rows[:9])
    commit(output, *rows[9:], failed("bad"))
    facts = pack(request(output, dest, layout))
    assert digests(dest) == expected_digests(*rows)
    assert (facts.rows, facts.images, facts.written) == (22, 25, facts.shards)
    assert facts.shards > 2
    fields = {(each["id"], each["image_index"]): each for each, _ in samples(dest)}
    assert fields["row-3", 0]["score"] == 0.5
    assert fields["row-3", 0]["note"] == "ä | b"
    assert [fields["a.b", j]["seed"] for j in (0, 1)] == [1, 2]
    index = json.loads(dest.read(INDEX_PATH))
    assert [shard["path"] for shard in index["shards"]] == shard_paths(dest)
    assert (index["rows"], index["images"]) == (22, 25)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_have_their_style_weights(
    output: Storage, dest: Storage, layout: LayoutName
) -> None:
    commit(output, generated(output, "old"))
    drop_column(output, "style_weights")
    commit(output, generated(output, "new", seed=1, styles=["/a", "/b"], weights=(0.0, 1.5)))
    pack(request(output, dest, layout))
    found = {fields["id"]: fields["style_weights"] for fields, _ in samples(dest)}
    assert found == {"new": [0.0, 1.5], "old": None}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packing_again_writes_nothing_and_elsewhere_the_same_bytes(
    output: Storage, dest: Storage, root: str, layout: LayoutName
) -> None:
    commit(output, *some_rows(output, 12))
    assert pack(request(output, dest, layout)).written > 1
    before = shards(dest)
    assert pack(request(output, dest, layout)).written == 0
    other = Storage.at(f"{root}/other")
    pack(request(output, other, layout))
    assert before == shards(dest) == shards(other)
    assert dest.read("README.md") == other.read("README.md")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_that_was_generated_again_replaces_its_stale_image(
    output: Storage, dest: Storage, layout: LayoutName
) -> None:
    rows = some_rows(output, 12)
    commit(output, *rows)
    shard_count = pack(request(output, dest, layout)).shards
    rows[5] = generated(output, "row-5", seed=99, at=10)
    commit(output, rows[5])
    facts = pack(request(output, dest, layout))
    assert (facts.written, facts.shards) == (1, shard_count)
    assert digests(dest) == expected_digests(*rows)


def test_a_row_that_failed_when_it_was_generated_again_is_removed(
    output: Storage, dest: Storage
) -> None:
    rows = some_rows(output, 6)
    commit(output, *rows)
    pack(request(output, dest))
    commit(output, failed("row-2", at=10))
    pack(request(output, dest))
    assert digests(dest) == expected_digests(*rows[:2], *rows[3:])


def test_more_rows_make_more_shards_and_the_old_shards_are_deleted(
    output: Storage, dest: Storage
) -> None:
    rows = some_rows(output, 30)
    commit(output, *rows[:3])
    assert pack(request(output, dest)).shards == 1
    commit(output, *rows[3:])
    facts = pack(request(output, dest))
    assert facts.shards > 1
    assert len(dest.list("data")) == facts.shards
    assert digests(dest) == expected_digests(*rows)


def test_a_new_column_is_in_every_shard(output: Storage, dest: Storage) -> None:
    commit(output, *some_rows(output, 8))
    pack(request(output, dest, "parquet"))
    wider = record_schema(pa.schema([("image", pa.string()), ("image_", pa.int64())]))
    row = {**generated(output, "later", at=9), "image": "mine.jpg", "image_": 7}
    Ledger.open(output, wider).append([{n: row[n] for n in wider.names}])
    facts = pack(request(output, dest, "parquet"))
    assert facts.written == facts.shards
    own = {fields["id"]: (fields["image__"], fields["image_"]) for fields, _ in samples(dest)}
    assert own["later"] == ("mine.jpg", 7)
    assert own["row-1"] == (None, None)


def test_no_completed_rows_make_no_shard(output: Storage, dest: Storage) -> None:
    commit(output, generated(output, "a"))
    pack(request(output, dest))
    commit(output, failed("a", at=5))
    facts = pack(request(output, dest))
    assert (facts.rows, facts.shards, dest.list("data")) == (0, 0, [])
    assert "configs" not in dest.read("README.md").decode()


@pytest.mark.s3
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_an_object_store(s3_server: S3Server, layout: LayoutName) -> None:
    bucket = s3_server.new_bucket()
    output = Storage.at(f"s3://{bucket}/out", s3_server.options)
    dest = Storage.at(f"s3://{bucket}/packed", s3_server.options)
    rows = [*some_rows(output, 8), generated(output, "n" * 200, images=2)]
    commit(output, *rows)
    assert pack(request(output, dest, layout)).written > 1
    assert pack(request(output, dest, layout)).written == 0
    assert digests(dest) == expected_digests(*rows)


def test_an_output_without_records_makes_no_dataset(output: Storage, dest: Storage) -> None:
    facts = pack(request(output, dest))
    assert (facts.rows, facts.shards, dest.list("")) == (0, 0, [])


@pytest.mark.parametrize("name", ["train-00000-of-00004.tar", "train-00000-of-00004.parquet"])
def test_shards_of_other_programs_are_left_alone(output: Storage, dest: Storage, name: str) -> None:
    dest.write(f"data/{name}", b"not ours, and no archive at all")
    commit(output, *some_rows(output, 3))
    with pytest.raises(PackError, match="not made by uso"):
        pack(request(output, dest))
    assert list(shards(dest).values()) == [b"not ours, and no archive at all"]


def one_by_one(tasks: Iterator[ShardTask]) -> Iterator[ShardResult]:
    return map(write_shard, tasks)


SHARDS = 4
CHANGES = SHARDS + 4  # the index, the card, an old shard and an old list of lost images


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("change", range(1, CHANGES + 1))
@pytest.mark.parametrize("root", ["memory", "disk"], indirect=True)
def test_a_kill_at_any_change_is_mended_by_the_next_packing(
    output: Storage, root: str, change: int, after: bool
) -> None:
    rows = some_rows(output, 12)
    commit(output, *rows[:4])
    dest = Storage.at(f"{root}/packed")
    assert pack(request(output, dest), one_by_one).shards == 1
    rows[0] = generated(output, "row-0", seed=50, at=9)
    commit(output, rows[0], *rows[4:])
    mortal = MortalStorage(f"{root}/packed", {}, dies_at=change, after=after)
    with pytest.raises(KilledError):
        pack(request(output, mortal), one_by_one)
    named = {shard["path"] for shard in json.loads(dest.read(INDEX_PATH))["shards"]}
    assert named <= set(dest.list("data")), "what the index names is there"
    facts = pack(request(output, dest), one_by_one)
    stored = min(change if after else change - 1, SHARDS)
    assert (facts.shards, facts.written) == (SHARDS, SHARDS - stored)
    assert digests(dest) == expected_digests(*rows)
    assert len(dest.list("data")) == SHARDS
    assert f"of-{SHARDS:05d}.tar" in dest.read("README.md").decode()


class FullStorage(Storage):
    """Has no space for a shard."""

    def write_from(self, path: str, source: Path) -> str:
        raise StorageError(self.uri(path), "full", "full")


def test_a_shard_that_cannot_be_stored_ends_the_packing(output: Storage, root: str) -> None:
    commit(output, *some_rows(output, 6))
    dest = FullStorage.at(f"{root}/packed")
    with pytest.raises(StorageError, match="full"):
        pack(request(output, dest))
    assert dest.list("") == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_references_are_packed_without_credentials(
    output: Storage, dest: Storage, layout: LayoutName
) -> None:
    commit(
        output,
        generated(output, "a", content_image="https://me:pw@h/a?token=x", style_images=["s.png"]),
        generated(output, "b", style_images=["https://h/s?v=1", "https://h/s?v=1&sig=x"]),
    )
    pack(request(output, dest, layout))
    (first, _), (second, _) = samples(dest)
    assert (first["content_image"], first["style_images"]) == ("https://h/a", ["s.png"])
    assert second["style_images"] == ["https://h/s?v=1", "https://h/s?v=1"]
