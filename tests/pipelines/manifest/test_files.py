from __future__ import annotations

import secrets
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.errors import ManifestError
from pipelines.manifest.files import find_files
from tests.pipelines.http_origin import ok, serving, status
from tests.pipelines.manifests import config, entries, opened, valid, write
from tests.s3_server import S3Server


def found(path: str | Path | list[str], **manifest: Any) -> list[str]:
    return [file.uri for file in find_files(config(path, manifest=manifest).manifest, {})]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "b.parquet",
        "a.parquet",
        "sub/deep/c.pq",
        "_SUCCESS",
        "_temporary/x.parquet",
        ".hidden/x.parquet",
        "sub/.x.parquet",
        "rows.csv",
        "rows.jsonl",
        "info.json",
        "photo.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def test_a_folder_gives_its_parquet_files_in_order(tree: Path) -> None:
    assert found(tree) == [f"{tree}/{name}" for name in ("a.parquet", "b.parquet", "sub/deep/c.pq")]
    assert found(f"{tree}/") == found(tree)


def test_a_folder_gives_what_the_format_says(tree: Path) -> None:
    assert found(tree, format="csv") == [f"{tree}/rows.csv"]
    assert found(tree, format="jsonl") == [f"{tree}/rows.jsonl"]
    assert found(tree, format="eval_json") == [f"{tree}/info.json"]


def test_a_folder_without_parquet_gives_its_text(tree: Path) -> None:
    for path in tree.rglob("*.p*q*"):
        path.unlink()
    assert found(tree) == [f"{tree}/rows.jsonl"]


def test_tables_in_other_formats_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.parquet", "b.csv", "c.jsonl", "d.json", "e.txt"):
        (tmp_path / name).touch()
    assert found(tmp_path, format="csv") == [f"{tmp_path}/b.csv"]
    assert found(tmp_path) == [f"{tmp_path}/a.parquet"]
    (message,) = caplog.messages
    assert f"place={tmp_path} files=2, such as b.csv: no other format is read beside" in message


def test_globs(tree: Path) -> None:
    assert found(f"{tree}/*.parquet") == [f"{tree}/a.parquet", f"{tree}/b.parquet"]
    assert found(f"{tree}/[b-z].parquet") == [f"{tree}/b.parquet"]
    assert found(f"{tree}/**/*.pq") == [f"{tree}/sub/deep/c.pq"]
    assert found(f"{tree}/s*") == [f"{tree}/sub/deep/c.pq"]
    assert found(f"{tree}/*.json") == [f"{tree}/info.json"]


def test_a_name_with_brackets_is_a_name_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "m[1].parquet").write_bytes(b"")
    assert found(tmp_path / "m[1].parquet") == [f"{tmp_path}/m[1].parquet"]


def test_a_list_keeps_its_order_and_no_file_comes_twice(tree: Path) -> None:
    listed = [f"{tree}/sub", f"{tree}/b.parquet", f"{tree}/*.parquet"]
    assert found(listed) == [f"{tree}/{n}" for n in ("sub/deep/c.pq", "b.parquet", "a.parquet")]


def test_relative_paths_are_relative_to_the_working_folder(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    assert found("a.parquet") == found("./a.parquet") == [f"{tree}/a.parquet"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.parquet", r"missing\.parquet: does not exist"),
        ("missing/", "missing/: does not exist"),
        ("*.arrow", "nothing to read: no file there ends in .parquet"),
        ("sub/deep/*.jpg", "nothing to read: no file there"),
        ("*.jpg", "nothing to read: none of the 1 files there ends in .parquet"),
        ("photo.jpg", "its name does not tell its format; set manifest.format"),
        ("x://bucket/a.parquet", "'x' is not known"),
    ],
)
def test_nothing_there(tree: Path, path: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        found(path if "://" in path else f"{tree}/{path}")


def test_nothing_at_a_relative_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError) as caught:
        entries("jobs/*.csv")
    assert str(caught.value).endswith(f".json ({tmp_path}/jobs/*.csv)")


def test_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="the list is empty"):
        found([])


def test_any_fsspec_filesystem(tmp_path: Path) -> None:
    root = f"memory://{secrets.token_hex(4)}"
    for name in ("b", "a"):
        local = write(tmp_path / f"{name}.parquet", {"content_image": [f"../{name}.png"]})
        with fsspec.open(f"{root}/set/{name}.parquet", "wb") as file:
            file.write(local.read_bytes())
    for path in (f"{root}/set", f"{root}/set/*.parquet", f"{root}/set/a.parquet"):
        first, *others = entries(path)
        assert valid(first).content_image == f"{root.replace('//', '///')}/a.png"
        assert len(others) == (0 if path.endswith("/a.parquet") else 1)


@pytest.mark.s3
def test_an_s3_store(tmp_path: Path, s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    rows = {"id": range(5000), "content_image": ["a.png"] * 5000}
    folder = s3_server.folder / bucket / "set"
    for name in ("b", "a"):
        write(folder / f"{name}.parquet", {**rows, "label": [name] * 5000}, row_group_size=700)
    manifest = opened(f"s3://{bucket}/set", storage=s3_server.options)
    assert manifest.total_rows == 10_000
    found = list(manifest.entries())
    assert [entry.extra["label"] for entry in found] == ["a"] * 5000 + ["b"] * 5000
    assert valid(found[0]).content_image == f"s3://{bucket}/set/a.png"
    assert found[5000].row.id == "0~2"
    with pytest.raises(ManifestError, match="does not exist"):
        opened(f"s3://{bucket}/other.parquet", storage=s3_server.options)
    wrong = {"s3": {**s3_server.options["s3"], "secret": "wrong"}}
    with pytest.raises(ManifestError, match="access is denied"):
        opened(f"s3://{bucket}/set/a.parquet", storage=wrong)
    manifest = opened(f"s3://{bucket}/set/a.parquet", storage=s3_server.options)
    write(folder / "a.parquet", {"content_image": ["b.png"]})
    with pytest.raises(ManifestError, match="changed"):
        next(manifest.entries())


def test_a_web_server_without_ranges(tmp_path: Path) -> None:
    content = write(tmp_path / "m.parquet", {"content_image": ["../a.png", "b.png"]}).read_bytes()
    with serving() as origin:
        url = origin.on("/set/m.parquet?token=secret", ok(content))
        manifest = opened(url)
        first, second = manifest.entries()
        host = f"http://127.0.0.1:{origin.port}"
        assert valid(first).content_image == f"{host}/a.png"
        assert valid(second).content_image == f"{host}/set/b.png"
        with pytest.raises(ManifestError, match=r"/none\.parquet: does not exist"):
            opened(origin.on("/none.parquet", status(404)))


def test_the_root_of_an_archive_is_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("m.jsonl", '{"id": "a", "prompt": "p"}\n')
        archive.writestr("_old/m.jsonl", '{"id": "b", "prompt": "p"}\n')
    assert [entry.row.id for entry in entries(f"zip://::{tmp_path}/m.zip")] == ["a"]
