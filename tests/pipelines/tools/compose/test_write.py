from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ComposeError
from pipelines.storage.new_file import file_storage
from pipelines.storage.storage import Storage
from pipelines.tools.compose import write
from pipelines.tools.compose.images import find_images
from pipelines.tools.compose.pairing import Ingredients, Rows, grid
from pipelines.tools.compose.write import write_manifest
from tests.pipelines.manifests import entries, valid
from tests.s3_server import S3Server

INGREDIENTS = Ingredients(("/c/a.jpg", "/c/b.jpg"), ("/s/x.png",), ("", "p"))


def test_the_written_rows_are_counted(tmp_path: Path) -> None:
    written = write_manifest(grid(INGREDIENTS), f"{tmp_path}/new/m.parquet", {})
    assert written.uri == f"{tmp_path}/new/m.parquet"
    assert (written.rows, written.contents, written.styles, written.prompts) == (4, 2, 1, 2)
    assert written.columns == ("id", "content_image", "style_image", "prompt")


def test_a_run_reads_what_was_written(tmp_path: Path) -> None:
    write_manifest(grid(INGREDIENTS), f"{tmp_path}/m.parquet", {})
    rows = [valid(entry) for entry in entries(tmp_path / "m.parquet")]
    assert [row.id for row in rows] == ["a--x--no_prompt", "a--x--p", "b--x--no_prompt", "b--x--p"]
    assert rows[3].content_image == "/c/b.jpg"
    assert rows[3].style_images == ("/s/x.png",)


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_manifest(grid(INGREDIENTS), f"{tmp_path}/{name}.parquet", {})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    url = f"{tmp_path}/m.parquet"
    write_manifest(grid(INGREDIENTS), url, {})
    with pytest.raises(ComposeError, match="--force"):
        write_manifest(grid(Ingredients(prompts=("a",))), url, {})
    write_manifest(grid(Ingredients(prompts=("a",))), url, {}, force=True)
    assert pq.read_table(url).to_pylist() == [{"id": "a", "prompt": "a"}]


def test_nothing_is_left_of_what_fails_half_way(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([["a"]], schema=schema)
        raise ComposeError("line 2")

    with pytest.raises(ComposeError, match="line 2"):
        write_manifest(Rows(-1, schema, batches()), f"{tmp_path}/m.parquet", {})
    with pytest.raises(ComposeError, match="no row"):
        write_manifest(Rows(0, schema, iter(())), f"{tmp_path}/m.parquet", {})
    assert list(tmp_path.iterdir()) == []


def test_only_parquet_is_written(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"\.parquet"):
        write_manifest(grid(INGREDIENTS), f"{tmp_path}/m.csv", {})


def test_small_batches_become_few_row_groups(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string())])
    batches = (pa.record_batch([[str(n)]], schema=schema) for n in range(500))
    write_manifest(Rows(500, schema, batches), f"{tmp_path}/m.parquet", {})
    assert pq.ParquetFile(tmp_path / "m.parquet").metadata.num_row_groups == 1


def test_row_groups_do_not_depend_on_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_GROUP_ROWS", 7)
    table = pa.table({"id": [str(n) for n in range(30)], "style_image": ["s"] * 30})
    made = set()
    for most in (1, 5, 7, 11, 30):
        rows = Rows(30, table.schema, iter(table.to_batches(max_chunksize=most)))
        write_manifest(rows, f"{tmp_path}/m.parquet", {}, force=True)
        metadata = pq.ParquetFile(tmp_path / "m.parquet").metadata
        assert [metadata.row_group(at).num_rows for at in range(5)] == [7, 7, 7, 7, 2]
        made.add((tmp_path / "m.parquet").read_bytes())
    assert len(made) == 1
    assert pq.read_table(tmp_path / "m.parquet") == table


def test_only_values_that_repeat_are_in_a_dictionary(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [str(n) for n in range(10)],
            "style_images": [["s.png"]] * 10,
            "seed": range(10),
            "mark": ["x", "y"] * 5,
            "own": pa.array([{"a": n} for n in range(10)]),
            "no": pa.nulls(10),
        }
    )
    rows = Rows(10, table.schema, iter(table.to_batches()))
    write_manifest(rows, f"{tmp_path}/m.parquet", {})
    group = pq.ParquetFile(tmp_path / "m.parquet").metadata.row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    with_one = {it.path_in_schema for it in columns if it.has_dictionary_page}
    assert with_one == {"style_images.list.element", "mark", "own.a", "no"}
    assert pq.read_table(tmp_path / "m.parquet") == table


@pytest.mark.s3
def test_a_manifest_of_a_bucket_in_a_bucket(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    images = Storage.at(f"s3://{bucket}/photos", s3_server.options)
    for name in ("b/2.jpg", "1.png", "notes.txt"):
        images.write(name, b"x")
    found = find_images([f"s3://{bucket}/photos"], s3_server.options).uris
    assert found == [f"s3://{bucket}/photos/1.png", f"s3://{bucket}/photos/b/2.jpg"]
    assert find_images([f"s3://{bucket}/photos/*.png"], s3_server.options).uris == found[:1]
    url = f"s3://{bucket}/m.parquet"
    write_manifest(grid(Ingredients(found)), url, s3_server.options)
    storage, name = file_storage(url, s3_server.options)
    table = pq.read_table(pa.BufferReader(storage.read(name)))
    assert table["content_image"].to_pylist() == found
