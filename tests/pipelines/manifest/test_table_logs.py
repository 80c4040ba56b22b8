"""Data files of tables that keep a log are refused, wherever the place is in the table."""

from __future__ import annotations

import secrets
from pathlib import Path

import fsspec
import pytest

from pipelines.errors import ManifestError
from pipelines.manifest.files import find_files
from tests.pipelines.manifests import config
from tests.s3_server import S3Server

LOGS = {
    "Delta Lake": "_delta_log/00000000000000000000.json",
    "Iceberg": "metadata/00001-0f9f52ba-7d2f-4bd9-a4a8-3bd1b6a3f3f5.metadata.json",
    "Hudi": ".hoodie/hoodie.properties",
}
PLACES = (
    "table",
    "table/",
    "table/data",
    "table/data/style=s1",
    "table/*/*/*.parquet",
    "table/**/*.parquet",
    "table/data/style=s1/*.parquet",
    "table/data/style=s1/p.parquet",
    "t*",
    ".",
)


def make(root: str, log: str) -> None:
    for name in ("table/data/style=s1/p.parquet", f"table/{log}", "other/q.parquet"):
        with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as file:
            file.write(b"x")


def found(path: str) -> list[str]:
    return [file.uri for file in find_files(config(path).manifest, {})]


@pytest.mark.parametrize("kind", LOGS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("store", ["disk", "objects"])
def test_no_place_in_a_table_with_a_log_is_read(
    tmp_path: Path, kind: str, place: str, store: str
) -> None:
    root = str(tmp_path) if store == "disk" else f"memory://{secrets.token_hex(4)}"
    make(root, LOGS[kind])
    where = root if place == "." else f"{root}/{place}"
    with pytest.raises(ManifestError, match=f"is a table of {kind}: only its log") as caught:
        found(where)
    assert caught.value.where.endswith(f"{root.partition('://')[2]}/table")
    assert LOGS[kind].partition("/")[0] in caught.value.reason
    assert "Export the table" in caught.value.reason


def test_the_message_has_a_command_that_exports(tmp_path: Path) -> None:
    commands = {
        "Delta Lake": "duckdb -c \"COPY (FROM delta_scan('{}')) TO 'manifest.parquet'\"",
        "Iceberg": "duckdb -c \"COPY (FROM iceberg_scan('{}/metadata/v10.metadata.json')) TO",
        "Hudi": "spark.read.format('hudi').load('{}').write.parquet('manifest') in PySpark",
    }
    for kind, log in LOGS.items():
        folder = tmp_path / kind[0]
        make(str(folder), log)
        if kind == "Iceberg":
            for version in ("v9", "v10"):
                (folder / f"table/metadata/{version}.metadata.json").touch()
        with pytest.raises(ManifestError) as caught:
            found(f"{folder}/table/*/*/*.parquet")
        assert commands[kind].format(f"{folder}/table") in caught.value.reason


def test_files_beside_a_table_and_folders_that_only_look_alike_are_read(tmp_path: Path) -> None:
    make(str(tmp_path), LOGS["Delta Lake"])
    for name in ("metadata/info.json", "metadata/p.parquet", "delta_log/p.parquet"):
        path = tmp_path / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert found(f"{tmp_path}/other") == [f"{tmp_path}/other/q.parquet"]
    assert found(f"{tmp_path}/o*/*.parquet") == [f"{tmp_path}/other/q.parquet"]
    assert len(found(f"{tmp_path}/a")) == len(found(f"{tmp_path}/a/**/*.parquet")) == 2


@pytest.mark.s3
def test_a_table_on_s3(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    for kind, log in LOGS.items():
        for inside in ("table/data/style=s1/p.parquet", f"table/{log}"):
            path = s3_server.folder / bucket / kind[:2] / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    (s3_server.folder / bucket / "q.parquet").write_bytes(b"x")
    for kind in LOGS:
        for place in ("table", "table/data", "table/data/*/*.parquet", "*"):
            url = f"s3://{bucket}/{kind[:2]}/{place}"
            with pytest.raises(ManifestError, match=f"is a table of {kind}"):
                find_files(config(url).manifest, s3_server.options)
    (file,) = find_files(config(f"s3://{bucket}/*.parquet").manifest, s3_server.options)
    assert file.uri == f"s3://{bucket}/q.parquet"
