from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.manifest.references import folder_url, resolve_reference
from pipelines.storage.urls import is_uri


@pytest.mark.parametrize(
    ("reference", "folder", "resolved"),
    [
        ("a.png", "/data/set/", "/data/set/a.png"),
        ("./x/../a.png", "/data/set/", "/data/set/a.png"),
        ("../a.png", "/data/set/", "/data/a.png"),
        ("../../../../a.png", "/data/set/", "/a.png"),
        ("a b#c?d.png", "/data/set/", "/data/set/a b#c?d.png"),
        ("a.png", "s3://bucket/set/", "s3://bucket/set/a.png"),
        ("../a.png", "s3://bucket/set/", "s3://bucket/a.png"),
        ("../../../a.png", "s3://bucket/set/", "s3://bucket/a.png"),
        ("x//a.png", "s3://bucket/", "s3://bucket/x//a.png"),
        ("a.png?v=../2", "https://host/set/", "https://host/set/a.png?v=../2"),
        ("a.png", "memory:///dir/", "memory:///dir/a.png"),
    ],
)
def test_relative_references_join_the_folder(reference: str, folder: str, resolved: str) -> None:
    assert resolve_reference(reference, folder) == resolved


@pytest.mark.parametrize(
    "reference",
    [
        "/data/a.png",
        "/data/../a.png",
        "file:///data/a.png",
        "file:/data/a.png",
        "https://host/a/../b.png?sig=x",
        "s3://bucket/a.png",
        "hf://datasets/a/b/c.png",
        "data:image/png;base64,AAAA",
        "DATA:image/png;base64,AAAA",
    ],
)
def test_absolute_references_are_unchanged(reference: str) -> None:
    assert resolve_reference(reference, "s3://bucket/set/") == reference


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve_reference("~/../you/a.png", "/data/set/") == "/home/you/a.png"
    assert resolve_reference("~a.png", "/data/set/") == "/data/set/~a.png"
    assert resolve_reference("~/a.png", "s3://bucket/set/") == "s3://bucket/set/~/a.png"


def test_a_colon_alone_is_not_a_scheme() -> None:
    assert not is_uri("12:30.png")
    assert not is_uri("a b://c")
    assert resolve_reference("12:30.png", "/d/") == "/d/12:30.png"


def test_a_local_base_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_url("images") == f"{tmp_path}/images/"
    assert folder_url("s3://bucket/images") == "s3://bucket/images/"
    assert folder_url("s3://bucket/images/") == "s3://bucket/images/"


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.png", "..."]), min_size=1, max_size=8))
def test_no_reference_leaves_its_bucket(parts: list[str]) -> None:
    reference = "/".join(["x", *parts])
    resolved = resolve_reference(reference, "s3://bucket/set/")
    assert resolved.startswith("s3://bucket/")
    assert not {"..", "."} & set(resolved.removeprefix("s3://bucket/").split("/"))
