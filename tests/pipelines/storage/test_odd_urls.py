from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage.filesystems import open_filesystem
from pipelines.storage.storage import Storage
from pipelines.storage.urls import output_problem
from tests.pipelines.storage.stores import options_at

_NO_PLACE = [
    ("", "is empty"),
    ("  ", "is empty"),
    ("/data/out\0x", "control character"),
    ("s3://bucket/\x1b[2J", "control character"),
    ("file://host/out", "another machine"),
    ("file://out", "another machine"),
    ("s3://", "no bucket"),
    ("s3:///out", "no bucket"),
    ("gs:// /out", "no bucket"),
    ("abfs:///out", "no bucket"),
    ("nope://x", "is not known"),
    ("/data/\ud800", "half of a character"),
    ("s3://bucket/\udfff", "half of a character"),
]
_WITHOUT_LIBRARY = ["pyscript://x", "box://x", "lakefs://x", "dask://x", "root://host/x"]
_NO_OUTPUT = [
    "zip://out",
    "zip://a::s3://bucket/x.zip",
    "simplecache::s3://bucket/out",
    "filecache::gs://bucket/out",
    "s3://bucket/out::zip://x",
    "tar://x",
    "https://host/out",
    "reference://x",
    "dir://x",
]


@pytest.mark.parametrize(("url", "reason"), _NO_PLACE)
def test_urls_that_name_no_place(url: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason):
        open_filesystem(url, {})
    with pytest.raises(StorageError, match=reason):
        Storage.at(url)


@pytest.mark.parametrize("url", _WITHOUT_LIBRARY)
def test_urls_that_need_another_library(url: str) -> None:
    with pytest.raises(StorageError, match="needs another library: "):
        open_filesystem(url, {})


@pytest.mark.parametrize("url", ["dir://x", "zip://x", "tar://x", "libarchive://", "filecache://x"])
def test_wrappers_of_nothing(url: str) -> None:
    with pytest.raises(StorageError, match="names no file to look into"):
        open_filesystem(url, {})


@pytest.mark.parametrize("url", ["hf://", "hf://datasets/", "hf://spaces"])
def test_hub_urls_without_a_repository_are_empty_folders(url: str) -> None:
    storage = Storage.at(url, options_at("http://127.0.0.1:9"))
    assert storage.list("run") == []
    assert storage.folders("packed") == []


def test_a_name_that_is_not_text_is_one_of_a_local_file(tmp_path: Path) -> None:
    name = os.fsdecode(b"out\xff")
    storage = Storage.at(str(tmp_path / name))
    storage.write("a", b"1")
    assert (tmp_path / name / "a").read_bytes() == b"1"


@pytest.mark.parametrize("url", _NO_OUTPUT)
def test_places_that_nothing_can_be_written_to(url: str) -> None:
    with pytest.raises(StorageError, match="give a local folder or a folder in a store"):
        Storage.at(url)


@pytest.mark.parametrize(
    "url",
    [
        *("out", "/data/my out", "~/out", "a::b", "file:///data/out", "s3://bucket", "s3://b/a ?x"),
        *("gs://b/out", "abfs://c@account.dfs.core.windows.net/out", "memory://out", "C:/out"),
    ],
)
def test_usual_outputs_are_accepted(url: str) -> None:
    assert output_problem(url) is None
