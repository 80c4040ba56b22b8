from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import ManifestError
from pipelines.manifest.source import READING, ManifestFile
from pipelines.storage.files import Place
from pipelines.storage.patience import Patience


def opened(path: Path) -> ManifestFile:
    path.write_bytes(b"content")
    data = Place(str(path), {}, READING).file()
    assert data is not None
    return ManifestFile(data, f"{path.parent}/", "parquet")


def test_a_change_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    file = opened(path)
    file.check_unchanged()
    path.write_bytes(b"content and more")
    with pytest.raises(ManifestError, match="changed after the run had looked at it"):
        file.check_unchanged()
    path.unlink()
    with pytest.raises(ManifestError, match="does not exist"):
        file.check_unchanged()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(), "uri: does not exist.*FileNotFoundError"),
        (PermissionError(), "uri: access is denied"),
        (TimeoutError(), "uri: does not answer"),
        (OSError(errno.ENOSPC, "what"), "uri: the store is full"),
        (OSError(errno.EINVAL, "what"), "uri: cannot be read"),
    ],
    ids=["not_found", "denied", "unavailable", "full", "unusable"],
)
def test_each_fault_says_what_to_do(error: OSError, message: str) -> None:
    def operation() -> None:
        raise error

    with pytest.raises(ManifestError, match=message):
        replace(READING, patience=Patience(seconds=0)).call("uri", operation)


def test_a_file_that_has_become_shorter_is_reported() -> None:
    place = Place("memory://short/m.parquet", {}, READING)
    place._fs.pipe_file(place.path, b"content")
    file = place.file()
    assert file is not None
    with pytest.raises(ManifestError, match="is shorter than it was"):
        replace(file, size=100).open().read()
