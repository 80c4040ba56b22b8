from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.storage.new_file import file_storage, new_parquet
from pipelines.storage.storage import Storage

SCHEMA = pa.schema([("n", pa.int64())])


def write(storage: Storage, path: str, values: list[int]) -> None:
    with new_parquet(storage, path, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([values], schema=SCHEMA))


def test_it_is_there_whole(storage: Storage) -> None:
    write(storage, "a/b.parquet", [1, 2])
    write(storage, "a/b.parquet", [3])
    assert storage.list("a") == ["a/b.parquet"]
    table = pq.read_table(pa.BufferReader(storage.read("a/b.parquet")))
    assert table.to_pylist() == [{"n": 3}]


def test_what_was_there_stays_when_writing_fails(storage: Storage) -> None:
    write(storage, "a/b.parquet", [1])
    with pytest.raises(pa.ArrowInvalid):
        write(storage, "a/b.parquet", ["no number"])  # type: ignore[list-item]  # meant to fail
    assert pq.read_table(pa.BufferReader(storage.read("a/b.parquet"))).num_rows == 1


def test_a_file_is_split_into_folder_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("m.parquet", "./m.parquet", f"{tmp_path}/m.parquet"):
        storage, name = file_storage(url)
        assert storage.uri(name) == f"{tmp_path}/m.parquet"
