from __future__ import annotations

import errno
import io
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.errors import Fault, StorageError
from pipelines.storage.files import Place
from pipelines.storage.patience import Patience
from pipelines.storage.reading import Reading
from pipelines.storage.stored_file import ShortReadError, StoredFile

CONTENT = bytes(range(256)) * 10


def told(uri: str, fault: Fault, error: Exception) -> StorageError:
    return StorageError(uri, type(error).__name__, fault)


READING = Reading(told)


class FlakyFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A memory filesystem whose next reads fail as told."""

    cachable = False

    def __init__(self, *faults: Exception) -> None:
        super().__init__()
        self.faults = list(faults)

    def cat_file(self, path: str, **options: Any) -> bytes:
        if self.faults:
            raise self.faults.pop(0)
        return bytes(super().cat_file(path, **options))


def stored(*faults: Exception, reading: Reading = READING) -> StoredFile:
    fs = FlakyFileSystem(*faults)
    path = f"/{secrets.token_hex(4)}/m.parquet"
    fs.pipe_file(path, CONTENT)
    return StoredFile("uri", fs, path, 0, "", reading).looked_at()


def test_a_remote_file_reads_ranges() -> None:
    remote = stored().open()
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


def test_a_local_file_and_a_small_remote_one_are_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(CONTENT)
    local = Place(str(tmp_path / "f"), {}, READING).file()
    assert local is not None
    for file in (local, stored()):
        for opened in (file.open(), file.open_all(), file.open_lines()):
            with opened:
                assert opened.read() == CONTENT


def test_a_large_remote_file_is_read_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.storage.stored_file._SMALL_BYTES", 100)
    monkeypatch.setattr("pipelines.storage.stored_file._LINES_BYTES", 300)
    assert list(stored().open_lines()) == io.BytesIO(CONTENT).readlines()


def test_an_empty_range_asks_nothing() -> None:
    assert stored(PermissionError()).read_range(8, 8) == b""


def test_faults_that_pass_are_waited_out() -> None:
    waited: list[tuple[str, str]] = []
    reading = Reading(told, on_wait=lambda uri, error: waited.append((uri, str(error))))
    assert stored(ConnectionResetError("cut"), reading=reading).open().read() == CONTENT
    assert waited == [("uri", "cut")]


def test_a_large_remote_file_is_copied_range_after_range(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipelines.storage.stored_file._SMALL_BYTES", 1000)
    stored(ConnectionResetError("cut")).copy_to(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_a_large_file_that_changes_while_it_is_copied_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pipelines.storage.stored_file._SMALL_BYTES", 1000)
    file = stored()
    read_range = file.fs.cat_file

    def read_and_replace(path: str, **options: Any) -> bytes:
        data: bytes = read_range(path, **options)
        file.fs.pipe_file(path, CONTENT[::-1])
        return data

    monkeypatch.setattr(file.fs, "cat_file", read_and_replace)
    with pytest.raises(StorageError, match="ShortReadError"):
        file.copy_to(tmp_path / "copy")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (FileNotFoundError(), "not_found"),
        (PermissionError(), "denied"),
        (OSError(errno.EINVAL, "what"), "unusable"),
    ],
    ids=["gone", "denied", "other"],
)
def test_faults_that_stay_are_reported(error: OSError, fault: Fault) -> None:
    with pytest.raises(StorageError) as caught:
        stored(error).open().read()
    assert (caught.value.uri, caught.value.fault) == ("uri", fault)
    assert caught.value.__cause__ is error


def failing(error: Exception) -> Callable[[], None]:
    def operation() -> None:
        raise error

    return operation


def test_patience_ends() -> None:
    with pytest.raises(StorageError, match="TimeoutError"):
        Reading(told, Patience(seconds=0)).call("uri", failing(TimeoutError()))


def test_a_bug_is_not_a_fault_of_the_store() -> None:
    with pytest.raises(KeyError):
        READING.call("uri", failing(KeyError("bug")))


def test_a_change_is_noticed() -> None:
    file = stored()
    assert file.looked_at() == file
    file.fs.pipe_file(file.path, CONTENT[::-1])
    assert file.looked_at() != file
    file.fs.rm_file(file.path)
    with pytest.raises(StorageError) as caught:
        file.looked_at()
    assert caught.value.fault == "not_found"


@pytest.mark.parametrize(
    "info",
    [
        {"ETag": '"a"', "LastModified": "today"},
        {"etag": "a", "updated": "today"},
        {"md5Hash": "a", "updated": "today"},
        {"blob_id": "a", "last_commit": "b"},
        {"mtime": 1.5, "created": 2.5},
        {"last_modified": "today"},
        {"updated": "today"},
        {"created": 2.5},
    ],
    ids=lambda info: next(iter(info)),
)
def test_the_version_is_the_best_mark_that_the_filesystem_gives(info: dict[str, Any]) -> None:
    class Told(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
        cachable = False

        def info(self, path: str, **options: Any) -> dict[str, Any]:
            return {"name": path, "size": 3, "type": "file", **info}

    file = StoredFile("uri", Told(), "/f", 0, "", READING).looked_at()
    assert file.version == str(next(iter(info.values())))


def test_a_file_that_has_become_shorter_is_reported() -> None:
    remote = replace(stored(), size=len(CONTENT) + 5).open()
    with pytest.raises(StorageError, match="ShortReadError") as caught:
        remote.read()
    assert isinstance(caught.value.__cause__, ShortReadError)


def names(url: str) -> tuple[str, list[str], list[str]]:
    found = Place(url, {}, READING).find()
    return found.kind, [file.uri for file in found.files], [file.inside for file in found.files]


def test_files_folders_and_globs(tmp_path: Path) -> None:
    remote = f"memory://{secrets.token_hex(4)}"
    for root, shown in ((str(tmp_path), str(tmp_path)), (remote, remote.replace("//", "///"))):
        for name in ("b.txt", "sub/deep/c.txt", "sub/a.txt"):
            with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as file:
                file.write(b"x")
        inside = ["b.txt", "sub/a.txt", "sub/deep/c.txt"]
        assert names(root) == ("folder", [f"{shown}/{name}" for name in inside], inside)
        assert names(f"{root}/b.txt") == ("file", [f"{shown}/b.txt"], [""])
        matched = [f"{shown}/b.txt", f"{shown}/sub/a.txt", f"{shown}/sub/deep/c.txt"]
        assert names(f"{root}/*") == ("glob", matched, ["", "a.txt", "deep/c.txt"])
        assert names(f"{root}/none*") == ("glob", [], [])
        assert [file.inside for file in Place(f"{root}/b.txt", {}, READING).below()] == [""]


def test_links_count_as_what_they_lead_to(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for path in (folder / "sub/a.txt", other / "b.txt"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"xyz")
    (folder / "file.txt").symlink_to(other / "b.txt")
    (folder / "linked").symlink_to(other)
    (folder / "gone.txt").symlink_to(tmp_path / "none")
    (other / "back").symlink_to(folder)  # a loop
    (folder / "sub/up").symlink_to(folder)
    found = ["file.txt", "gone.txt", "linked/b.txt", "sub/a.txt"]
    assert names(str(folder))[2] == found
    assert names(f"{folder}/*")[1] == [f"{folder}/{name}" for name in found]
    for url in (str(folder), f"{folder}/*"):
        files = {file.path: file for file in Place(url, {}, READING).find().files}
        assert files[f"{folder}/file.txt"].size == 3
        assert files[f"{folder}/file.txt"] == files[f"{folder}/file.txt"].looked_at()
        assert files[f"{folder}/file.txt"].open().read() == b"xyz"
        with pytest.raises(StorageError):
            files[f"{folder}/gone.txt"].open()


def test_a_name_with_brackets_is_a_name_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "m[1]").write_bytes(b"")
    assert names(f"{tmp_path}/m[1]") == ("file", [f"{tmp_path}/m[1]"], [""])


def test_an_object_that_stands_for_a_folder_is_not_a_file() -> None:
    root = f"memory://{secrets.token_hex(4)}"
    fs, path = fsspec.url_to_fs(root)
    fs.pipe_file(f"{path}/a", b"x")
    fs.store[f"{path}/sub/"] = fs.store[f"{path}/a"]
    assert names(root)[2] == ["a"]


def test_a_missing_place_is_reported_by_its_url_as_given(tmp_path: Path) -> None:
    for url in (f"{tmp_path}/none", "memory://user:secret@none"):
        with pytest.raises(StorageError) as caught:
            Place(url, {}, READING).find()
        assert caught.value.fault == "not_found"
        assert caught.value.uri == url.replace("user:secret@", "")
