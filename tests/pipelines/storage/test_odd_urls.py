from __future__ import annotations

import pytest

from pipelines.errors import StorageError
from pipelines.storage.filesystems import open_filesystem
from pipelines.storage.storage import Storage
from pipelines.storage.urls import output_problem

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
]
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
