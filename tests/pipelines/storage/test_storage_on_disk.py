"""A storage folder on a local disk."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage.local_files import sync_folder
from pipelines.storage.storage import Storage


def test_a_local_uri_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Storage.at("out").uri("a.png") == str(tmp_path / "out" / "a.png")
    assert Storage.at(f"file://{tmp_path}/out").uri("a.png") == str(tmp_path / "out" / "a.png")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    (tmp_path / "a" / "in-the-way").mkdir(parents=True)
    with pytest.raises(StorageError):
        storage.write("a", b"a file cannot replace a folder")
    assert storage.list("") == []
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_a_killed_writer_are_not_listed_and_can_be_removed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("records/a", b"")
    leftover = tmp_path / "records" / ".uso-0123456789abcdef.tmp"
    leftover.write_bytes(b"half a pa")
    assert storage.list("records") == ["records/a"]
    assert storage.remove_leftovers("records") == 1
    assert not leftover.exists()
    assert storage.list("records") == ["records/a"]


def test_a_name_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("n" * 255, b"x")
    assert storage.read("n" * 255) == b"x"


def test_a_long_cause_does_not_flood_the_message(tmp_path: Path) -> None:
    name = "n" * 5000
    with pytest.raises(StorageError) as caught:
        Storage.at(str(tmp_path)).read(name)
    assert len(caught.value.reason) < 500


@contextmanager
def no_file_larger_than(num_bytes: int) -> Iterator[None]:
    """Let the kernel refuse larger files, as it does when a quota is met."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_disk_that_is_full_keeps_what_was_there_and_nothing_half(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("a", b"as it was")
    with no_file_larger_than(100_000):
        storage.write("b", bytes(90_000))
        with pytest.raises(StorageError, match="free some space or raise the quota") as caught:
            storage.write("a", bytes(200_000))
    assert caught.value.fault == "full"
    assert storage.read("a") == b"as it was"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    (tmp_path / "records").symlink_to("records")  # a loop, which not even root may follow
    with pytest.raises(StorageError, match="records: unusable"):
        storage.list("records")


def test_files_that_were_moved_to_another_disk_and_linked_are_listed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    storage.write("records/a", b"12")
    (tmp_path / "moved").write_bytes(b"123")
    (tmp_path / "out" / "records" / "b").symlink_to(tmp_path / "moved")
    assert storage.sizes("records") == {"records/a": 2, "records/b": 3}
    (tmp_path / "moved").unlink()
    with pytest.raises(StorageError, match="records/b"):
        storage.sizes("records")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a filesystem that syncs no folders")
def test_a_filesystem_that_cannot_sync_folders_is_usable() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        synced(Path("/proc/self"))
    sync_folder(Path("/proc/self"))


def synced(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root may write")
def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(StorageError, match="folder's permissions") as caught:
        Storage.at("/sys/kernel/uso-batch").check_writable()
    assert caught.value.fault == "denied"
