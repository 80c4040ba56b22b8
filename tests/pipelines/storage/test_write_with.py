"""Files and folders whose content a function writes: there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage.storage import Storage
from tests.pipelines.storage.test_storage_on_disk import no_file_larger_than


def content(data: bytes) -> Callable[[Path], None]:
    def fill(local: Path) -> None:
        local.write_bytes(data)

    return fill


def test_it_is_there_whole(storage: Storage) -> None:
    for data in (b"first", b"second, of another size", b"3"):
        assert storage.write_with("a/b", content(data)) == storage.uri("a/b")
        assert storage.read("a/b") == data
    assert storage.list("") == ["a/b"]


def test_an_error_of_the_function_leaves_what_was_there(storage: Storage) -> None:
    def fail(local: Path) -> None:
        local.write_bytes(b"half")
        raise KeyError("mine")

    storage.write("a/b", b"as it was")
    with pytest.raises(KeyError, match="mine"):
        storage.write_with("a/b", fail)
    assert storage.read("a/b") == b"as it was"
    assert storage.remove_leftovers("") == 0


def test_an_error_of_another_store_is_not_one_of_this(storage: Storage) -> None:
    calls = []
    theirs = StorageError("s3://theirs/image", "away for 120 s", "unavailable")

    def fail(local: Path) -> None:
        calls.append(local)
        # A client's error below it would count, if it was this store's own.
        raise theirs from TimeoutError()

    with pytest.raises(StorageError) as caught:
        storage.write_with("a", fail)
    assert caught.value is theirs
    assert len(calls) == 1, "it has been waited for"


def test_on_a_disk_the_new_file_is_beside_the_old_one_and_is_not_listed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))

    def fill(local: Path) -> None:
        assert local.parent == tmp_path / "out" / "data"
        local.write_bytes(b"x")
        assert storage.list("") == []

    storage.write_with("data/shard", fill)
    assert storage.list("") == ["data/shard"]


def test_a_new_file_that_another_process_removes_is_written_again(tmp_path: Path) -> None:
    storage, calls = Storage.at(str(tmp_path)), []

    def fill(local: Path) -> None:
        local.write_bytes(b"whole")
        calls.append(local)
        if len(calls) == 1:
            assert Storage.at(str(tmp_path)).remove_leftovers("") == 1

    storage.write_with("shard", fill)
    assert (storage.read("shard"), len(calls)) == (b"whole", 2)


def test_a_disk_that_is_full_keeps_what_was_there_and_nothing_half(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("a", b"as it was")
    with (
        no_file_larger_than(100_000),
        pytest.raises(StorageError, match="free some space or raise the quota") as caught,
    ):
        storage.write_with("a", content(bytes(200_000)))
    assert (caught.value.fault, caught.value.uri) == ("full", f"{tmp_path}/a")
    assert storage.read("a") == b"as it was"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_goes_away_meanwhile_is_not_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    storage = Storage.at(str(folder))
    storage.write("a", b"1")

    def fill(local: Path) -> None:
        local.write_bytes(b"2")
        folder.rename(tmp_path / "aside")

    with pytest.raises(StorageError, match="removed, replaced or unmounted"):
        storage.write_with("b", fill)
    assert not folder.exists()


def files(**contents: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name, text in contents.items():
            (folder / name).write_text(text)

    return fill


def test_a_folder_replaces_the_one_before_as_a_whole(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    storage.write("data/other", b"stays")
    storage.write_folder_with("data/a", files(x="1", y="2"))
    storage.write_folder_with("data/a", files(y="3", z="4"))
    assert storage.list("") == ["data/a/y", "data/a/z", "data/other"]
    assert storage.read("data/a/y") == b"3"
    assert sorted(os.listdir(tmp_path / "out/data")) == ["a", "other"]


def test_an_error_while_a_folder_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "x").write_text("half")
        assert storage.list("") == ["a/x"]
        raise KeyError("mine")

    storage.write_folder_with("a", files(x="as it was"))
    with pytest.raises(KeyError, match="mine"):
        storage.write_folder_with("a", fail)
    assert storage.read("a/x") == b"as it was"
    assert os.listdir(tmp_path) == ["a"]


def test_a_new_folder_that_another_process_removes_is_written_again(tmp_path: Path) -> None:
    storage, calls = Storage.at(str(tmp_path)), []

    def fill(folder: Path) -> None:
        files(x="whole")(folder)
        calls.append(folder)
        if len(calls) == 1:
            assert Storage.at(str(tmp_path)).remove_leftovers("") == 1

    storage.write_folder_with("a", fill)
    assert (storage.list(""), len(calls)) == (["a/x"], 2)


def test_folders_that_a_killed_writer_left_are_not_listed_and_are_removed(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write("data/a/x", b"")
    left = tmp_path / "data/.uso-0123456789abcdef.tmp"
    left.mkdir()
    (left / "y").write_text("half")
    assert storage.list("") == ["data/a/x"]
    assert storage.remove_leftovers("data") == 1
    assert os.listdir(tmp_path / "data") == ["a"]
    assert storage.remove_leftovers("data") == 0
