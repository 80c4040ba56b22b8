"""Other files are refused with what to do, and rows in .json files are found."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ManifestError
from tests.pipelines.manifests import entries, valid

TEXT = b"id,prompt\n1,a\n"
TABLE = pa.table({"id": [1], "prompt": ["a"]})


def _gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(TEXT))


def _bzip2(path: Path) -> None:
    path.write_bytes(bz2.compress(TEXT))


def _xz(path: Path) -> None:
    path.write_bytes(lzma.compress(TEXT))


def _zstd(path: Path) -> None:
    path.write_bytes(pa.compress(TEXT, "zstd", asbytes=True))


def _excel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("xl/workbook.xml", "")


def _parquet(path: Path) -> None:
    pq.write_table(TABLE, path)


def _arrow(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)


def _utf_16(path: Path) -> None:
    path.write_text(TEXT.decode(), encoding="utf-16")


@pytest.mark.parametrize("form", ["csv", "jsonl", "eval_json"])
@pytest.mark.parametrize(
    ("write", "advice"),
    [
        (_gzip, "is compressed, and only plain files are read; unpack it"),
        (_bzip2, "is compressed"),
        (_xz, "is compressed"),
        (_zstd, "is compressed"),
        (_excel, "is a spreadsheet or an archive; save it as CSV in UTF-8"),
        (_parquet, "is Parquet; set manifest.format: parquet"),
        (_arrow, "is in a format that is not read; store it as Parquet"),
        (_utf_16, "its first line is not UTF-8 but UTF-16; save it in UTF-8"),
    ],
)
def test_the_first_bytes_tell(
    tmp_path: Path, write: Callable[[Path], None], advice: str, form: str
) -> None:
    write(tmp_path / "m")
    with pytest.raises(ManifestError) as caught:
        entries(tmp_path / "m", manifest={"format": form})
    assert str(caught.value).startswith(f"{tmp_path}/m: {advice}")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("m.csv.gz", "is compressed"),
        ("m.jsonl.zst", "is compressed"),
        ("M.XLSX", "is a spreadsheet; save it as CSV in UTF-8"),
        ("m.feather", "is in a format that is not read"),
    ],
)
def test_the_name_tells(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / name).write_bytes(b"x")
    with pytest.raises(ManifestError) as caught:
        entries(tmp_path / "jobs" / name)
    assert f"{name}: {advice}" in str(caught.value)
    with pytest.raises(ManifestError) as caught:
        entries(tmp_path / "jobs")
    assert f"; {name} {advice}" in str(caught.value)


@pytest.mark.parametrize("first", ["PAR1", "BZhang", "ARROW1", "Obj", "SQLite format 3"])
def test_names_of_columns_are_no_first_bytes(tmp_path: Path, first: str) -> None:
    (tmp_path / "m.csv").write_text(f"{first},prompt\nx,a\n")
    assert entries(tmp_path / "m.csv")[0].extra == {first: "x"}


@pytest.mark.parametrize("text", ['[{"prompt": "a"}]', '{\n"prompt": "a"\n}\n', ""])
def test_json_that_is_not_lines_is_explained(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(ManifestError, match=r"one object \{\.\.\.\} per line"):
        entries(tmp_path / "m.jsonl")


def test_json_of_duckdb_in_folders_of_columns(tmp_path: Path) -> None:
    query = "SELECT range AS id, 'p' || range AS prompt, range % 2 AS batch FROM range(4)"
    duckdb.sql(f"COPY ({query}) TO '{tmp_path}/jobs' (FORMAT json, PARTITION_BY (batch))")
    found = entries(tmp_path / "jobs")
    assert [(e.row.id, valid(e).prompt, e.extra) for e in found] == [
        ("0", "p0", {"batch": 0}),
        ("2", "p2", {"batch": 0}),
        ("1", "p1", {"batch": 1}),
        ("3", "p3", {"batch": 1}),
    ]


def test_json_of_spark_in_a_plain_folder(tmp_path: Path) -> None:
    for part, prompt in enumerate("ab"):
        line = json.dumps({"prompt": prompt})
        (tmp_path / f"part-{part:05}-x.json").write_text(f"{line}\n{line}\n")
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(ManifestError, match=r"set manifest\.format: jsonl"):
        entries(tmp_path)
    found = entries(tmp_path, manifest={"format": "jsonl"})
    assert [valid(entry).prompt for entry in found] == ["a", "a", "b", "b"]
    assert len(entries(f"{tmp_path}/*.json", manifest={"format": "jsonl"})) == 4


def test_columns_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("prompt;;\na;;\n")
    with pytest.raises(ManifestError, match="several columns without a name; name them, or rem"):
        entries(tmp_path / "m.csv")
