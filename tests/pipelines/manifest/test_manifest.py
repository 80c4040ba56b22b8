from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ManifestError
from pipelines.rows import ManifestRow, RejectedRow
from tests.pipelines.manifests import entries, opened, valid, write

DEMO = Path(__file__).parents[3] / "examples" / "demo" / "manifest.parquet"


def test_rows_come_in_order_with_their_own_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.parquet",
        {"id": ["a", "b"], "prompt": ["x", "y"], "label": pa.array([1, None], pa.int16())},
    )
    manifest = opened(path)
    assert manifest.total_rows == 2
    assert manifest.extra_schema == pa.schema([("label", pa.int16())])
    found = list(manifest.entries())
    assert [valid(entry).prompt for entry in found] == ["x", "y"]
    assert [entry.extra for entry in found] == [{"label": 1}, {"label": None}]
    assert list(manifest.entries()) == found


def test_the_demo_is_read(tmp_path: Path) -> None:
    manifest = opened(DEMO, defaults={"width": 512})
    found = list(manifest.entries())
    assert len(found) == manifest.total_rows == 16
    assert len({entry.row.id for entry in found}) == 16


def test_one_bad_row_affects_no_other_row(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": list("abc"), "width": [512, 3, 1024]})
    kinds = [type(entry.row) for entry in entries(path)]
    assert kinds == [ManifestRow, RejectedRow, ManifestRow]


def test_the_limit_takes_the_first_rows(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"m/{index}.parquet", {"id": [f"{index}-{n}" for n in range(3)]})
    manifest = opened(tmp_path / "m", manifest={"limit": 4}, defaults={"prompt": "p"})
    assert manifest.total_rows == 4
    assert [entry.row.id for entry in manifest.entries()] == ["0-0", "0-1", "0-2", "1-0"]
    assert opened(tmp_path / "m", manifest={"limit": 99}, defaults={"prompt": "p"}).total_rows == 9


def test_hundreds_of_tiny_files_are_one_manifest(tmp_path: Path) -> None:
    for n in range(300):
        write(tmp_path / f"{n:03d}.parquet", {"id": [f"r{n}"], "prompt": ["x"]})
    manifest = opened(tmp_path)
    assert manifest.total_rows == 300
    assert [entry.row.id for entry in manifest.entries()] == [f"r{n}" for n in range(300)]


def test_a_file_that_vanishes_during_the_run_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"]})
    second = write(tmp_path / "m/2.parquet", {"prompt": ["b"]})
    found = opened(tmp_path / "m").entries()
    next(found)
    second.unlink()
    with pytest.raises(ManifestError, match=r"2\.parquet: does not exist"):
        next(found)


def test_a_file_that_changes_during_the_run_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"]})
    manifest = opened(path)
    write(path, {"prompt": ["a", "b"]})
    with pytest.raises(ManifestError, match="changed after the run had looked at it"):
        next(manifest.entries())


def test_a_file_that_changes_while_it_is_read_is_reported_after_reading(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    manifest = opened(path)
    rows = manifest.entries()
    read = [next(rows)]
    with path.open("a") as file:
        file.write('{"prompt": "c"}\n')
    with pytest.raises(ManifestError, match="changed after the run had looked at it"):
        read += rows
    assert len(read) == 1 or [valid(entry).prompt for entry in read] == ["a", "b"]


def test_a_secret_that_is_not_set_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"]})
    with pytest.raises(ManifestError, match="NO_SUCH_VARIABLE"):
        opened(path, storage={"s3": {"key": "${NO_SUCH_VARIABLE}"}})
