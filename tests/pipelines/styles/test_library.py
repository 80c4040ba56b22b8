"""A library keeps styles under names, on every kind of store."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from pipelines.errors import StorageError, StyleError
from pipelines.storage.filesystems import Options
from pipelines.styles.library import StyleLibrary
from pipelines.styles.style_file import FIRST_BYTES, StyleFileError, StyleImage, style_in
from tests.pipelines.styles.made import made_style
from tests.s3_server import S3Server


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> StyleLibrary:
    url, options = str(tmp_path / "styles"), cast("Options", {})
    if request.param == "memory":
        url = f"memory://{secrets.token_hex(8)}/styles"
    elif request.param == "s3":
        server = cast("S3Server", request.getfixturevalue("s3_server"))
        url, options = f"s3://{server.new_bucket()}/styles", server.options
    return StyleLibrary(url, options)


def test_a_style_is_kept_listed_read_and_removed(library: StyleLibrary) -> None:
    assert library.names() == []
    facts, data = made_style()
    library.write("woodcut", data)
    assert library.names() == ["woodcut"]
    assert library.facts("woodcut") == facts
    assert library.read("woodcut") == data
    assert style_in(data).sha256 == facts.sha256
    library.remove("woodcut")
    assert library.names() == []
    assert library.facts("woodcut") is None


def test_a_name_is_replaced_only_on_purpose(library: StyleLibrary) -> None:
    library.write("ink", made_style()[1])
    with pytest.raises(StyleError, match=r"ink\.safetensors: exists; use --force"):
        library.write("ink", made_style(1)[1])
    new, data = made_style(1)
    library.write("ink", data, force=True)
    assert library.facts("ink") == new


@pytest.mark.parametrize("library", ["local", "memory"], indirect=True)
def test_of_two_processes_that_add_a_name_one_is_told(
    library: StyleLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for the name and the write, another process may have written."""
    monkeypatch.setattr(library._storage, "exists", lambda _path: False)
    library.write("ink", made_style()[1])
    with pytest.raises(StyleError, match=r"ink\.safetensors: exists; use --force"):
        library.write("ink", made_style(1)[1])
    assert library.read("ink") == made_style()[1]


def test_facts_longer_than_the_first_request_are_read_whole(library: StyleLibrary) -> None:
    image = StyleImage("a.png", "f00d", 1.0, "A" * FIRST_BYTES)
    facts, data = made_style(images=(image, image))
    library.write("long", data)
    assert library.facts("long") == facts


def test_a_missing_style_is_named_with_its_neighbours(library: StyleLibrary) -> None:
    with pytest.raises(StyleError, match="no style 'ink'; it has no styles"):
        library.read("ink")
    for name in ("woodcut", "woodcut-2", "oil"):
        library.write(name, made_style()[1])
    assert library.nearest("woodcutt") == "near it are woodcut, woodcut-2"
    assert library.nearest(" OIL ") == "near it is oil"
    assert library.nearest("xyz") == "it has oil, woodcut, woodcut-2"
    with pytest.raises(StyleError, match="no style 'ink'"):
        library.remove("ink")


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden", "a b", "ä", "a" * 65])
def test_names_that_are_no_file_names_are_refused(tmp_path: Path, name: str) -> None:
    library = StyleLibrary(str(tmp_path / "styles"), {})
    (tmp_path / "out.safetensors").write_bytes(made_style()[1])
    with pytest.raises(StyleError):
        library.write(name, b"")
    with pytest.raises(StyleError):
        library.read(name)
    assert library.facts(name) is None


def test_files_that_are_no_styles_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no style at all, but long enough")
    (tmp_path / "b.safetensors").write_bytes(b"")
    data = made_style()[1]
    (tmp_path / "c.safetensors").write_bytes(data[:200])
    library = StyleLibrary(str(tmp_path), {})
    for name in "abc":
        with pytest.raises((StyleError, StorageError), match=rf"{name}\.safetensors"):
            library.facts(name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"licence": 7}, r"licence: Input should be a valid string"),
        ({"images": "x"}, r"images: "),
        ({"images": ({"name": "a"},)}, r"images\.0\.sha256: Field required"),
        ({"images": (StyleImage("a", "f00d", float("nan"), ""),)}, r"images\.0\.weight: "),
        ({"images": (StyleImage("a", "f00d", 1.0, "x"),)}, r"images\.0\.thumbnail: "),
        ({"sha256": "no hash"}, r"sha256: "),
        ({"model_fingerprint": None}, r"model_fingerprint: "),
    ],
)
def test_facts_of_other_types_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """A file of somebody else's must not bring a run down when its records are written."""
    (tmp_path / "a.safetensors").write_bytes(made_style(**changes)[1])
    with pytest.raises(StyleError, match=rf"its facts are wrong \({said}.*; remove it, or add"):
        StyleLibrary(str(tmp_path), {}).facts("a")


def test_other_files_beside_styles_are_none(tmp_path: Path) -> None:
    for name in ("a.safetensors.bak", "b.safetensors.1", "c.txt", "d.SAFETENSORS"):
        (tmp_path / name).write_bytes(made_style()[1])
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "e.safetensors").write_bytes(made_style()[1])
    assert StyleLibrary(str(tmp_path), {}).names() == []


def test_another_byte_among_the_tokens_is_noticed() -> None:
    data = bytearray(made_style()[1])
    data[-1] ^= 1
    with pytest.raises(StyleFileError, match="damaged"):
        style_in(bytes(data))
    with pytest.raises(StyleFileError, match="cut short"):
        style_in(bytes(data[:-1]))


def test_the_same_style_has_the_same_bytes() -> None:
    assert len({made_style()[1] for _ in range(8)}) == 1
    assert style_in(made_style()[1]).tokens.dtype == torch.float32
