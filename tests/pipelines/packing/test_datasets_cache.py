"""`datasets` with one cache for all: a folder gives the rows that are packed in it now."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from pipelines.formats import LayoutName
from pipelines.packing.pack import pack
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import LAYOUTS, generated, request
from tests.pipelines.tools.report.outputs import commit, failed


def packed(
    folder: Path, layout: LayoutName, prompts: dict[str, str], *, seed: int = 0, at: float = 0
) -> str:
    """Add a row per prompt to the run in this folder, pack it, and return the dataset's folder."""
    output = Storage.at(str(folder / "out"))
    commit(
        output,
        *(
            generated(output, row_id, seed=seed, prompt=prompt, at=at)
            for row_id, prompt in prompts.items()
        ),
    )
    dest = folder / "out" / layout
    pack(request(output, Storage.at(str(dest)), layout, shard_images=100))
    return str(dest)


def loaded(folder: str, cache: Path) -> dict[str, str]:
    """Return the prompt of each row, by id."""
    rows = datasets.load_dataset(folder, split="train", cache_dir=str(cache))
    fields = [row.get("json", row) for row in rows]
    return {row["id"]: row["prompt"] for row in fields}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_runs_in_folders_of_the_same_name(tmp_path: Path, layout: LayoutName) -> None:
    runs = {"a": {"1": "a cat"}, "b": {"1": "a dog"}}
    # The same ids at the same times, so only the images differ.
    folders = [
        packed(tmp_path / name, layout, prompts, seed=seed)
        for seed, (name, prompts) in enumerate(runs.items())
    ]
    found = [loaded(folder, tmp_path / "cache") for folder in folders]
    assert found == list(runs.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_that_was_packed_again(tmp_path: Path, layout: LayoutName) -> None:
    first = loaded(packed(tmp_path, layout, {"1": "a cat", "2": "a dog"}), tmp_path / "cache")
    again = loaded(packed(tmp_path, layout, {"2": "a hen"}, seed=1, at=1), tmp_path / "cache")
    assert first == {"1": "a cat", "2": "a dog"}
    assert again == {"1": "a cat", "2": "a hen"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_contents_share_a_cache_entry(tmp_path: Path, layout: LayoutName) -> None:
    folder = packed(tmp_path, layout, {"1": "a cat"})
    loaded(folder, tmp_path / "cache")
    before = sorted((tmp_path / "cache").rglob("*.arrow"))
    commit(Storage.at(str(tmp_path / "out")), failed("3"))
    loaded(packed(tmp_path, layout, {}), tmp_path / "cache")
    assert before == sorted((tmp_path / "cache").rglob("*.arrow")) != []


def test_parquet_files_alone(tmp_path: Path) -> None:
    def rows(folder: str) -> list[str]:
        data = datasets.load_dataset(
            "parquet",
            data_files=f"{folder}/data/*.parquet",
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        return sorted(data["prompt"])

    assert rows(packed(tmp_path / "a", "parquet", {"1": "a cat"})) == ["a cat"]
    assert rows(packed(tmp_path / "b", "parquet", {"1": "a dog"}, seed=1)) == ["a dog"]
    assert rows(packed(tmp_path / "a", "parquet", {"1": "a hen"}, seed=2, at=1)) == ["a hen"]
