"""Loads packed outputs with `datasets` and `webdataset`: the same images, the same fields."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path
from typing import Any

import datasets
import pytest
import webdataset

from pipelines.formats import LayoutName
from pipelines.packing.pack import pack
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import LAYOUTS, generated, request
from tests.pipelines.tools.report.outputs import commit, failed


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A folder with a dataset of each layout, and the records of its completed rows by id."""
    folder = tmp_path_factory.mktemp("loaders")
    output = Storage.at("memory://loaders")
    rows = [
        *(generated(output, f"row-{n}", seed=n, prompt="a cat, 猫") for n in range(6)),
        generated(output, "a.dotted id", images=3, seed=7, content="/photos/a.jpg", score=0.25),
    ]
    commit(output, *rows, failed("bad"))
    for layout in LAYOUTS:
        pack(request(output, Storage.at(str(folder / layout)), layout, shard_images=4))
    return folder, {row["id"]: row for row in rows}


def check(found: list[tuple[dict[str, Any], bytes]], rows: dict[str, dict[str, Any]]) -> None:
    """Assert that each image is there once, with the hash and the fields of its record."""
    places = [(fields["id"], fields["image_index"]) for fields, _ in found]
    expected = [(i, index) for i, row in rows.items() for index in range(len(row["outputs"]))]
    assert sorted(places) == sorted(expected)
    for fields, image in found:
        row, index = rows[fields["id"]], fields["image_index"]
        assert hashlib.sha256(image).hexdigest() == row["sha256"][index] == fields["sha256"]
        assert fields["seed"] == row["seed"] + index
        alike = ("prompt", "content_image", "width", "guidance", "timings", "model", "score")
        assert {n: fields[n] for n in alike} == {n: row[n] for n in alike}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_opens_the_folder(
    packed: tuple[Path, dict[str, dict[str, Any]]],
    tmp_path: Path,
    layout: LayoutName,
    streaming: bool,
) -> None:
    folder, rows = packed
    data = datasets.load_dataset(
        str(folder / layout), split="train", cache_dir=str(tmp_path), streaming=streaming
    )
    image = "png" if layout == "webdataset" else "image"
    assert data.features[image] == datasets.Image()
    assert next(iter(data))[image].size == (24, 16)
    raw = data.cast_column(image, datasets.Image(decode=False))
    found = [(dict(sample["json"]) if layout == "webdataset" else sample, sample) for sample in raw]
    check([(fields, content(sample[image])) for fields, sample in found], rows)


def content(image: dict[str, Any]) -> bytes:
    """Return the bytes of an image that is not decoded, which may be a file."""
    data = image["bytes"]
    return Path(image["path"]).read_bytes() if data is None else data


def test_an_image_folder_opens_by_its_own_loader(
    packed: tuple[Path, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    folder, rows = packed
    data = datasets.load_dataset(
        "imagefolder", data_dir=str(folder / "folder"), split="train", cache_dir=str(tmp_path)
    )
    assert "label" not in data.features
    raw = data.cast_column("image", datasets.Image(decode=False))
    check([(sample, content(sample["image"])) for sample in raw], rows)


def test_datasets_opens_parquet_files_alone(
    packed: tuple[Path, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    folder, rows = packed
    files = str(folder / "parquet" / "data" / "*.parquet")
    data = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path)
    )
    assert data.features["image"] == datasets.Image()
    assert len(data) == sum(len(row["outputs"]) for row in rows.values())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_opens_the_shards(packed: tuple[Path, dict[str, dict[str, Any]]]) -> None:
    folder, rows = packed
    names = sorted(path.name for path in (folder / "webdataset" / "data").iterdir())
    last = len(names) - 1
    assert names[-1] == f"train-{last:05d}-of-{last + 1:05d}.tar"
    urls = f"{folder}/webdataset/data/train-{{00000..{last:05d}}}-of-{last + 1:05d}.tar"
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode(only="json"))
    gc.collect()  # closes the files that it leaves open, with warnings
    keys = [sample["__key__"] for sample in samples]
    assert len(set(keys)) == len(keys)
    check([(sample["json"], sample["png"]) for sample in samples], rows)
