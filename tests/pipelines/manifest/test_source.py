from __future__ import annotations

import errno
import io
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.errors import ManifestError
from pipelines.manifest.source import ManifestFile, RemoteFile, patiently

CONTENT = bytes(range(256)) * 10


class FlakyFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A memory filesystem whose next reads fail as told."""

    cachable = False

    def __init__(self, *faults: OSError) -> None:
        super().__init__()
        self.faults = list(faults)

    def cat_file(self, path: str, **options: Any) -> bytes:
        if self.faults:
            raise self.faults.pop(0)
        return bytes(super().cat_file(path, **options))


def stored(*faults: OSError) -> ManifestFile:
    fs = FlakyFileSystem(*faults)
    path = f"/{secrets.token_hex(4)}/m.parquet"
    fs.pipe_file(path, CONTENT)
    file = ManifestFile("uri", fs, path, "memory:///x/", "parquet", size=0)
    return file.looked_at()


def test_a_remote_file_reads_ranges() -> None:
    remote = RemoteFile(stored())
    assert remote.read(3) == CONTENT[:3]
    assert remote.tell() == 3
    assert remote.seek(-2, io.SEEK_END) == len(CONTENT) - 2
    assert remote.read(100) == CONTENT[-2:]
    assert remote.read(1) == b""
    assert remote.seek(5) == 5
    assert remote.seek(2, io.SEEK_CUR) == 7
    assert remote.read() == CONTENT[7:]
    assert remote.readable()
    assert remote.seekable()


def test_a_remote_file_is_read_in_lines() -> None:
    lines = list(stored().open_lines())
    assert b"".join(lines) == CONTENT
    assert lines == io.BytesIO(CONTENT).readlines()


def test_faults_that_pass_are_waited_out() -> None:
    assert RemoteFile(stored(ConnectionResetError())).read() == CONTENT


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (FileNotFoundError(), "uri: does not exist"),
        (PermissionError(), "uri: access is denied"),
        (OSError(errno.EINVAL, "what"), "uri: cannot be read"),
    ],
    ids=["gone", "denied", "other"],
)
def test_faults_that_stay_are_told(fault: OSError, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        RemoteFile(stored(fault)).read()


def failing(error: Exception) -> Callable[[], None]:
    def operation() -> None:
        raise error

    return operation


def test_patience_ends() -> None:
    with pytest.raises(ManifestError, match="does not answer"):
        patiently("uri", failing(TimeoutError()), patience_s=0)


def test_a_bug_is_no_fault_of_the_manifest() -> None:
    with pytest.raises(KeyError):
        patiently("uri", failing(KeyError("bug")))


def test_a_change_is_noticed() -> None:
    file = stored()
    file.check_unchanged()
    file.fs.pipe_file(file.path, CONTENT + b"more")
    with pytest.raises(ManifestError, match="changed"):
        file.check_unchanged()
    file.fs.rm_file(file.path)
    with pytest.raises(ManifestError, match="does not exist"):
        file.check_unchanged()


def test_a_file_that_has_become_shorter_is_told() -> None:
    remote = RemoteFile(replace(stored(), size=len(CONTENT) + 5))
    with pytest.raises(ManifestError, match="is shorter than it was"):
        remote.read()
