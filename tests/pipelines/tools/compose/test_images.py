from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from pipelines.errors import ComposeError, ManifestError
from pipelines.tools.compose import images
from pipelines.tools.compose.images import find_images, heic_hint


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_gives_its_images_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b.JPG", tmp_path / "a/c.png", tmp_path / "notes.txt", tmp_path / "_DSC1.jpg")
    touch(tmp_path / ".hidden.jpg", tmp_path / ".thumbs/x.jpg", tmp_path / "a/x.psd")
    touch(tmp_path / "a/IMG_1.HEIC")
    found = find_images([str(tmp_path)], {})
    assert found.uris == [
        f"{tmp_path}/{name}" for name in ("_DSC1.jpg", "a/IMG_1.HEIC", "a/c.png", "b.JPG")
    ]
    assert found.left_out == {".txt": 1, ".psd": 1}


def test_hidden_images_are_taken_only_if_they_are_asked_for(tmp_path: Path) -> None:
    touch(
        tmp_path / "a.jpg", tmp_path / ".b.jpg", tmp_path / ".thumbs/c.jpg", tmp_path / "d/.e/f.jpg"
    )
    for place, names in (
        ("", ["a.jpg"]),
        ("*", ["a.jpg"]),
        (".*", [".b.jpg", ".thumbs/c.jpg"]),
        (".thumbs", [".thumbs/c.jpg"]),
        ("d/.e/*", ["d/.e/f.jpg"]),
    ):
        found = find_images([f"{tmp_path}/{place}"], {})
        assert found.uris == [f"{tmp_path}/{name}" for name in names], place


def test_without_the_extra_heic_files_are_left_out_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "IMG_1.HEIC")
    assert heic_hint({".heic": 1}) == ""  # it is installed here
    monkeypatch.setattr(images, "_HEIC_ENDINGS", ())
    monkeypatch.setattr(images, "ENDINGS", (".jpg",))
    with pytest.raises(ComposeError, match=r"no image is there.*pip install 'uso-batch\[heic\]'"):
        find_images([str(tmp_path)], {})
    touch(tmp_path / "a.jpg")
    assert "uso-batch[heic]" in heic_hint(find_images([str(tmp_path)], {}).left_out)
    assert heic_hint({".txt": 1}) == ""


def test_names_that_browsers_and_cameras_give_are_images(tmp_path: Path) -> None:
    names = ["a.jfif", "b.JPE", "c.HIF", "d.tiff", "e.avif"]
    touch(*(tmp_path / name for name in names))
    assert find_images([str(tmp_path)], {}).uris == [f"{tmp_path}/{name}" for name in names]


def test_a_glob_and_a_file_and_a_web_address(tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg", tmp_path / "2.png", tmp_path / "x[1].jpg", tmp_path / "any.bin")
    places = [f"{tmp_path}/?.*", f"{tmp_path}/x[1].jpg", f"{tmp_path}/any.bin", "https://h/a"]
    assert find_images(places, {}).uris == [
        f"{tmp_path}/1.jpg",
        f"{tmp_path}/2.png",
        f"{tmp_path}/x[1].jpg",
        f"{tmp_path}/any.bin",
        "https://h/a",
    ]


def test_a_store_gives_urls() -> None:
    store = fsspec.filesystem("memory")
    store.pipe({"/photos/a.png": b"x", "/photos/b/c.jpg": b"x", "/photos/d.txt": b"x"})
    found = find_images(["memory://photos"], {}).uris
    assert found == ["memory:///photos/a.png", "memory:///photos/b/c.jpg"]
    store.rm("/photos", recursive=True)


def test_a_name_that_a_manifest_cannot_hold_is_reported(tmp_path: Path) -> None:
    try:
        touch(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    except OSError:
        pytest.skip("this filesystem has names in Unicode only")
    with pytest.raises(ComposeError, match=r"its name is not UTF-8.*rename it"):
        find_images([str(tmp_path)], {})


def test_a_place_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="no image is there"):
        find_images([str(tmp_path)], {})
    with pytest.raises(ManifestError, match="does not exist"):
        find_images([f"{tmp_path}/none"], {})
