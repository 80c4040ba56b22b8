"""Rows whose images are lost keep a dataset as it was, or are left out of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.errors import PackError
from pipelines.formats import LayoutName
from pipelines.image_names import path_in_output
from pipelines.packing.not_packed import PATH
from pipelines.packing.pack import INDEX_PATH, pack
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import (
    LAYOUTS,
    digests,
    expected_digests,
    generated,
    request,
    shard_paths,
)
from tests.pipelines.tools.report.outputs import commit, failed
from tests.s3_server import S3Server

HARMS = {"remove": "is missing", "change": "is not the recorded file", "empty": "is empty"}


@pytest.fixture
def root() -> Iterator[str]:
    folder = f"memory://{secrets.token_hex(8)}"
    yield folder
    MemoryFileSystem().rm(folder, recursive=True)


@pytest.fixture
def output(root: str) -> Storage:
    return Storage.at(f"{root}/out")


@pytest.fixture
def dest(root: str) -> Storage:
    return Storage.at(f"{root}/packed")


def harm(output: Storage, record: dict[str, Any], how: str = "remove", index: int = 0) -> bytes:
    """Harm an image of a row, and return its content."""
    path = path_in_output(record["outputs"][index])
    assert path is not None
    before = output.read(path)
    if how == "remove":
        output.delete(path)
    else:
        output.write(path, b"" if how == "empty" else bytes(len(before)))
    return before


def skipping(output: Storage, dest: Storage, layout: LayoutName = "webdataset") -> Any:
    asked = request(output, dest, layout)
    return pack(type(asked)(output, dest, layout, asked.shard_images, skip_missing=True))


def listed(dest: Storage) -> list[tuple[str, str | None, str]]:
    lines = [json.loads(line) for line in dest.read(PATH).splitlines()]
    return sorted((line["id"], path_in_output(line["image"]), line["fault"]) for line in lines)


@pytest.mark.parametrize("how", HARMS)
def test_every_lost_image_is_named_and_the_dataset_stays(
    output: Storage, dest: Storage, how: str
) -> None:
    rows = [generated(output, f"row-{n}", seed=n) for n in range(20)]
    commit(output, *rows)
    pack(request(output, dest))
    index = dest.read(INDEX_PATH)
    new = [generated(output, f"row-{n}", seed=n, at=9) for n in range(20, 40)]
    commit(output, *new)
    for row in (new[1], new[8], *new[10:17]):
        harm(output, row, how)
    with pytest.raises(PackError, match=rf"row '.*': its image .*\.png {HARMS[how]}; ") as caught:
        pack(request(output, dest))
    for said in ("and 4 more", "9 images of 9 rows", dest.uri(PATH), "--check-images=full"):
        assert said in str(caught.value)
    expected = {row["id"] for row in (new[1], new[8], *new[10:17])}
    assert {row_id for row_id, _, _ in listed(dest)} == expected
    assert {fault for _, _, fault in listed(dest)} == {HARMS[how]}
    assert dest.read(INDEX_PATH) == index
    assert all(dest.exists(shard["path"]) for shard in json.loads(index)["shards"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", HARMS)
def test_the_other_rows_are_packed_if_asked(
    output: Storage, dest: Storage, layout: LayoutName, how: str
) -> None:
    rows = [generated(output, f"row-{n}", seed=n, score=n / 2) for n in range(20)]
    rows.append(generated(output, "three", images=3, seed=40))
    commit(output, *rows, failed("bad"))
    harm(output, rows[3], how)
    data = harm(output, rows[20], how, index=2)
    facts = skipping(output, dest, layout)
    whole = [*rows[:3], *rows[4:20]]
    assert digests(dest) == expected_digests(*whole)
    assert (facts.rows, facts.images, facts.lost) == (19, 19, 2)
    assert [row_id for row_id, _, _ in listed(dest)] == ["row-3", "three"]
    index = json.loads(dest.read(INDEX_PATH))
    assert [shard["path"] for shard in index["shards"]] == shard_paths(dest)
    assert sum(shard["rows"] for shard in index["shards"]) == index["rows"] == 19
    card = dest.read("README.md").decode()
    assert "19 images of 19 rows" in card
    assert "The images of 2 rows were missing or damaged" in card

    again = skipping(output, dest, layout)
    assert (again.written, again.lost) == (0, 2)

    path = path_in_output(rows[20]["outputs"][2])
    assert path is not None
    output.write(path, data)
    rows[3] = generated(output, "row-3", seed=77, at=9)
    commit(output, rows[3])
    facts = pack(request(output, dest, layout))
    assert (facts.rows, facts.images, facts.lost) == (21, 23, 0)
    assert digests(dest) == expected_digests(*rows)
    assert not dest.exists(PATH)
    assert "left out" not in dest.read("README.md").decode()


def test_a_shard_that_is_up_to_date_needs_no_images(output: Storage, dest: Storage) -> None:
    rows = [generated(output, f"row-{n}", seed=n) for n in range(6)]
    commit(output, *rows)
    pack(request(output, dest))
    harm(output, rows[2])
    facts = pack(request(output, dest))
    assert (facts.rows, facts.written, facts.lost) == (6, 0, 0)
    assert digests(dest) == expected_digests(*rows)


def test_an_output_without_any_image_makes_no_shards(output: Storage, dest: Storage) -> None:
    rows = [generated(output, f"row-{n}", seed=n) for n in range(6)]
    commit(output, *rows)
    for row in rows:
        harm(output, row)
    facts = skipping(output, dest)
    assert (facts.rows, facts.shards, facts.lost) == (0, 0, 6)
    assert dest.list("") == [PATH]


@pytest.mark.s3
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_an_object_store(s3_server: S3Server, layout: LayoutName, tmp_path: Path) -> None:
    output = Storage.at(f"s3://{s3_server.new_bucket()}/out", s3_server.options)
    dest = Storage.at(str(tmp_path))
    rows = [generated(output, f"row-{n}", seed=n) for n in range(6)]
    commit(output, *rows)
    harm(output, rows[2])
    with pytest.raises(PackError, match=r"row 'row-2': its image s3://.*is missing"):
        pack(request(output, dest, layout))
    assert skipping(output, dest, layout).lost == 1
    assert digests(dest) == expected_digests(*rows[:2], *rows[3:])
