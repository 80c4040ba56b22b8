"""Editions change with everything that the rows of a file follow from."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.storage.stored_file import StoredFile
from tests.pipelines.manifests import opened, write
from tests.s3_server import S3Server

COLUMNS = {"id": ["a", "b", "c"], "prompt": ["x", "y", "z"]}


def digests(path: str, **sections: object) -> list[int]:
    return [edition.digest for edition in opened(path, **sections).editions]


def test_a_file_has_one_edition_until_it_is_written_again(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", COLUMNS, row_group_size=2)
    (edition,) = opened(path).editions
    assert edition.groups == (2, 1)
    assert opened(path).editions == [edition]
    write(path, COLUMNS, row_group_size=2)
    (other,) = opened(path).editions
    assert (other.groups, other.digest != edition.digest) == ((2, 1), True)


def test_files_after_it_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet", COLUMNS)
    (alone,) = digests(str(tmp_path))
    write(tmp_path / "c.parquet", COLUMNS)
    first, second = digests(str(tmp_path))
    assert (first == alone, second != first) == (True, True)
    write(tmp_path / "a.parquet", COLUMNS)
    assert not {first, second}.intersection(digests(str(tmp_path)))


def test_folders_with_columns(tmp_path: Path) -> None:
    write(tmp_path / "label=x" / "a.parquet", COLUMNS)
    (one,) = digests(str(tmp_path))
    (tmp_path / "label=x").rename(tmp_path / "label=y")
    assert digests(str(tmp_path)) != [one]


def test_rows_that_all_have_to_be_read(tmp_path: Path) -> None:
    path = str(write(tmp_path / "m.parquet", COLUMNS))
    (tmp_path / "m.csv").write_text("id,prompt\na,x\n", encoding="utf-8")
    (tmp_path / "ids.txt").write_text("a\n", encoding="utf-8")
    assert digests(str(tmp_path / "m.csv")) == []
    assert digests(path, manifest={"shard": "0/2"}) == []
    assert digests(path, manifest={"ids": str(tmp_path / "ids.txt")}) == []
    assert digests(path, manifest={"style_library": str(tmp_path)}) == []
    assert len(digests(path, manifest={"limit": 1})) == 1


@pytest.mark.s3
def test_an_object_that_is_put_back_is_another_edition(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    folder = s3_server.folder / bucket
    path = write(folder / "m.parquet", COLUMNS)
    url = f"s3://{bucket}/m.parquet"
    one = digests(url, storage=s3_server.options)
    assert len(one) == 1
    assert digests(url, storage=s3_server.options) == one
    assert digests(f"s3://{bucket}", storage=s3_server.options) != []
    pq.write_table(pq.read_table(path), path)
    later = path.stat().st_mtime + 2
    os.utime(path, (later, later))
    assert digests(url, storage=s3_server.options) != one


def test_a_mark_is_no_part_of_equality(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", COLUMNS)
    (table,) = opened(path)._tables
    file: StoredFile = table.file.data
    path.chmod(0o600)
    assert file.looked_at() == file
    assert file.looked_at().mark != file.mark
