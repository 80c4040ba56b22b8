"""A name that exists is a name, whatever characters it has."""

from __future__ import annotations

import secrets
from pathlib import Path

import fsspec
import pytest

from pipelines.manifest.files import find_files
from pipelines.storage.files import Place
from pipelines.storage.globs import Glob, glob_of
from pipelines.tools.compose.images import find_images
from tests.pipelines.manifests import config
from tests.pipelines.storage.test_files import READING
from tests.s3_server import S3Server

NAMES = (
    "jobs[v2]/m[1].parquet",
    "jobs[v2]/n.parquet",
    "jobs v/n.parquet",
    "jobs2/n.parquet",
    "really?/m.parquet",
    "all*/m.parquet",
    "all of it/m.parquet",
    "[!x]/m.parquet",
)
FOUND = {
    "jobs[v2]/m[1].parquet": ["jobs[v2]/m[1].parquet"],
    "jobs[v2]": ["jobs[v2]/m[1].parquet", "jobs[v2]/n.parquet"],
    "jobs[v2]/": ["jobs[v2]/m[1].parquet", "jobs[v2]/n.parquet"],
    "jobs[v2]/*.parquet": ["jobs[v2]/m[1].parquet", "jobs[v2]/n.parquet"],
    "jobs[v2]/[no].parquet": ["jobs[v2]/n.parquet"],
    "jobs[ 2]*/n.parquet": ["jobs v/n.parquet", "jobs2/n.parquet"],
    "really?/m.parquet": ["really?/m.parquet"],
    "really?/*": ["really?/m.parquet"],
    "all*": ["all*/m.parquet"],
    "all*/*.parquet": ["all*/m.parquet"],
    "al*/*.parquet": ["all of it/m.parquet", "all*/m.parquet"],
    "[!x]/m.parquet": ["[!x]/m.parquet"],
}


@pytest.mark.parametrize(
    ("path", "existing", "expected"),
    [
        ("a/b", [], None),
        ("a/b*", [], Glob("a", "a/b*")),
        ("a/b*", ["a/b*"], None),
        ("a[1]/b*/c?", ["a[1]"], Glob("a[1]", "a[[]1]/b*/c?")),
        ("a[1]/b*/c?", ["a[1]", "a[1]/b*"], Glob("a[1]/b*", "a[[]1]/b[*]/c?")),
        ("a[1]/b", ["a[1]"], None),
        ("/**/b", [], Glob("", "/**/b")),
    ],
)
def test_the_glob_of_a_path(path: str, existing: list[str], expected: Glob | None) -> None:
    assert glob_of(path, existing.__contains__) == expected


def in_stores(root: str) -> None:
    for name in NAMES:
        with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as file:
            file.write(b"x")


@pytest.mark.parametrize("place", FOUND)
def test_an_existing_name_wins_in_manifests(tmp_path: Path, place: str) -> None:
    remote = f"memory://{secrets.token_hex(4)}"
    for root, shown in ((str(tmp_path), str(tmp_path)), (remote, remote.replace("//", "///"))):
        in_stores(root)
        files = find_files(config(f"{root}/{place}").manifest, {})
        assert sorted(file.uri for file in files) == sorted(f"{shown}/{n}" for n in FOUND[place])


def test_an_existing_name_wins_among_images(tmp_path: Path) -> None:
    remote = f"memory://{secrets.token_hex(4)}"
    for root, shown in ((str(tmp_path), str(tmp_path)), (remote, remote.replace("//", "///"))):
        for name in ("s[12]/a.png", "s1/a.png", "x[1].png", "x1.png"):
            with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as file:
                file.write(b"x")
        for place, found in (
            ("s[12]", "s[12]/a.png"),
            ("s[12]/*.png", "s[12]/a.png"),
            ("x[1].png", "x[1].png"),
        ):
            assert find_images([f"{root}/{place}"], {}).uris == [f"{shown}/{found}"]


@pytest.mark.s3
def test_an_existing_name_wins_on_s3(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    for name in NAMES:
        path = s3_server.folder / bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for place, names in FOUND.items():
        found = Place(f"s3://{bucket}/{place}", s3_server.options, READING).find()
        expected = sorted(f"s3://{bucket}/{name}" for name in names)
        assert sorted(file.uri for file in found.files) == expected, place
