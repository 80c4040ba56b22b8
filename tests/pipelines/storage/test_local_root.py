from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.storage.local_root import LocalRoot
from pipelines.storage.storage import Storage


def test_the_first_write_creates_the_folder(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "new" / "out"))
    storage.write("a/b", b"1")
    storage.write("a/c", b"2")
    assert storage.list("a") == ["a/b", "a/c"]


def test_a_folder_that_goes_away_is_not_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    storage = Storage.at(str(folder))
    storage.write("a", b"1")
    folder.rename(tmp_path / "aside")
    with pytest.raises(StorageError, match=f"{folder}.*removed, replaced or unmounted"):
        storage.write("b", b"2")
    assert not folder.exists()
    (tmp_path / "aside").rename(folder)
    storage.write("b", b"2")


def test_an_empty_folder_in_its_place_is_another_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    storage = Storage.at(str(folder))
    storage.write("a", b"1")
    folder.rename(tmp_path / "aside")
    folder.mkdir()
    source = tmp_path / "file"
    source.write_bytes(b"2")
    with pytest.raises(StorageError, match="unmounted"):
        storage.write_from("b", source)
    assert list(folder.iterdir()) == []


def test_a_folder_that_must_be_there_is_not_created(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    storage = pickle.loads(pickle.dumps(Storage.at(str(folder), create=False)))
    with pytest.raises(StorageError, match="does not exist here") as raised:
        storage.write("a", b"1")
    assert (raised.value.fault, folder.exists()) == ("not_found", False)
    folder.mkdir()
    storage.write("a", b"1")


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, why in (
        ("file", f"{tmp_path}/file is a file, and no folder"),
        ("file/out", f"{tmp_path}/file is a file, and no folder"),
        ("loop/out", "Too many levels of symbolic links; give another folder"),
        ("x" * 300, "File name too long; give another folder"),
    ):
        storage = Storage.at(str(tmp_path / name))
        with pytest.raises(StorageError, match=why):
            storage.write("a", b"1")
        with pytest.raises(StorageError, match=why):
            storage.create("a", b"1")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_two_threads_may_make_the_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    root = LocalRoot(str(folder), create=True)

    def stat_before_another_thread_writes(path: str) -> os.stat_result:
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError) as missing:
            os.stat(path)
        folder.mkdir()
        root.written()
        raise missing.value

    monkeypatch.setattr(os, "stat", stat_before_another_thread_writes)
    root.check()
    folder.rename(tmp_path / "aside")
    with pytest.raises(StorageError, match="removed, replaced or unmounted"):
        root.check()
