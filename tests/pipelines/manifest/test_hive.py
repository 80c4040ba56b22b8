"""Columns in the names of folders are read as other readers of this field do."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipelines.config.schema import RunConfig
from pipelines.errors import ManifestError
from pipelines.manifest.hive import partitions_of
from pipelines.tools.compose.table import table_rows
from tests.pipelines.http_origin import ok, serving
from tests.pipelines.manifests import entries, opened, rejected, valid, write
from tests.s3_server import S3Server

NULL = "__HIVE_DEFAULT_PARTITION__"


def put(path: str, rows: list[dict[str, Any]]) -> None:
    """Write rows in the format of the name."""
    with fsspec.open(path, "wb", auto_mkdir=True) as file:
        if path.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), file)
        elif path.endswith(".csv"):
            lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
            file.write("\n".join(lines).encode())
        else:
            file.write("\n".join(map(json.dumps, rows)).encode())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def by_id(path: str | Path, **sections: Any) -> dict[str, tuple[str, Mapping[str, Any]]]:
    return {e.row.id: (valid(e).prompt, e.extra) for e in entries(path, **sections)}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("store", ["disk", "objects"])
@pytest.mark.parametrize("place", ["", "/*/*/*.{}", "/style=*/*/*.{}", "/**/*.{}"])
def test_columns_of_folders_in_every_format_and_store(
    tmp_path: Path, ending: str, store: str, place: str
) -> None:
    root = str(tmp_path) if store == "disk" else f"memory://{secrets.token_hex(4)}"
    put(f"{root}/style=s1/prompt=a red%20cat%2Fdog/p.{ending}", [{"id": "a"}, {"id": "b"}])
    put(f"{root}/style={NULL}/prompt={NULL}/p.{ending}", [{"id": "c"}])
    found = by_id(root + place.format(ending), defaults={"prompt": "by default"})
    assert found == {
        "a": ("a red cat/dog", {"style": "s1"}),
        "b": ("a red cat/dog", {"style": "s1"}),
        "c": ("by default", {"style": None}),
    }


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["1", "-20", "0"], pa.int64(), [1, -20, 0]),
        (["1", NULL], pa.int64(), [1, None]),
        (["99999999999"], pa.int64(), [99999999999]),
        (["9223372036854775808"], pa.string(), ["9223372036854775808"]),
        (["0.5", "1", "1e3"], pa.float64(), [0.5, 1.0, 1000.0]),
        (["1", "007"], pa.string(), ["1", "007"]),
        (["2026-01-02"], pa.date32(), [date(2026, 1, 2)]),
        (["2026-13-02"], pa.string(), ["2026-13-02"]),
        (
            ["2026-01-02 03%3A04%3A05.5"],
            pa.timestamp("us"),
            [at("2026-01-02T03:04:05.500000")],
        ),
        (["true"], pa.string(), ["true"]),
        (["1", "x"], pa.string(), ["1", "x"]),
        ([NULL], pa.string(), [None]),
        ([""], pa.string(), [""]),
        (["b=c"], pa.string(), ["b=c"]),
    ],
)
def test_types_follow_from_all_values(
    tmp_path: Path, values: list[str], kind: pa.DataType, read: list[Any]
) -> None:
    for number, value in enumerate(values):
        put(f"{tmp_path}/{number}/k%20y={value}/p.parquet", [{"prompt": "p"}])
    manifest = opened(tmp_path)
    assert manifest.extra_schema == pa.schema([("k y", kind)])
    assert [entry.extra["k y"] for entry in manifest.entries()] == read


def test_pyarrow_and_duckdb_read_the_same(tmp_path: Path) -> None:
    for name, value in (("1", "a b"), ("20", "c"), (NULL, "c")):
        put(f"{tmp_path}/n={name}/t={value.replace(' ', '%20')}/p.parquet", [{"prompt": "p"}])
    ours = sorted((str(e.extra["n"]), e.extra["t"]) for e in entries(tmp_path))
    table = ds.dataset(tmp_path, partitioning="hive").to_table()
    assert ours == sorted((str(row["n"]), row["t"]) for row in table.to_pylist())
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT n, t FROM '{tmp_path}/*/*/*.parquet'").fetchall()
    assert ours == sorted((str(n), t) for n, t in found)


def test_inputs_in_folders_keep_their_text_and_numbers(tmp_path: Path) -> None:
    put(f"{tmp_path}/id=007/prompt=2024/seed=5/guidance=2.5/p.parquet", [{"own": 1}])
    put(f"{tmp_path}/id=8/prompt=x/seed=6/guidance=3/content_image=a.png/p.jsonl", [{"own": 1}])
    (entry,) = entries(tmp_path)
    row = valid(entry)
    assert (row.id, row.prompt, row.parameters.seed) == ("007", "2024", 5)
    assert row.parameters.guidance == 2.5
    (other,) = entries(tmp_path, manifest={"format": "jsonl"})
    assert valid(other).content_image == str(
        tmp_path / "id=8/prompt=x/seed=6/guidance=3/content_image=a.png/a.png"
    )
    mapped = {"columns": {"prompt": "seed"}, "keep_columns": "none"}
    assert valid(entries(tmp_path, manifest=mapped)[0]).prompt == "5"


def test_a_value_of_a_folder_is_checked_like_a_cell(tmp_path: Path) -> None:
    put(f"{tmp_path}/seed=red/p.parquet", [{"prompt": "p"}])
    (entry,) = entries(tmp_path)
    assert "column seed: 'red' is not accepted" in rejected(entry).failure.message


def test_rows_have_the_ids_that_a_column_in_the_file_would_give(tmp_path: Path) -> None:
    put(f"{tmp_path}/a/prompt=red/n=1/p.parquet", [{"content_image": "/c.png"}])
    put(f"{tmp_path}/b/p.parquet", [{"content_image": "/c.png", "prompt": "red", "n": 1}])
    one, other = entries(f"{tmp_path}/a")[0], entries(f"{tmp_path}/b")[0]
    assert (one.row, one.extra) == (other.row, other.extra)


def test_a_file_without_the_folder_has_null(tmp_path: Path) -> None:
    put(f"{tmp_path}/style=s1/p.parquet", [{"id": "a", "prompt": "p"}])
    put(f"{tmp_path}/q.parquet", [{"id": "b", "prompt": "q"}])
    assert by_id(tmp_path) == {"a": ("p", {"style": "s1"}), "b": ("q", {"style": None})}


def test_a_private_name_is_a_column_and_not_hidden(tmp_path: Path) -> None:
    put(f"{tmp_path}/_day=1/p.parquet", [{"id": "a", "prompt": "p"}])
    put(f"{tmp_path}/_tmp/q.parquet", [{"id": "b", "prompt": "q"}])
    assert by_id(tmp_path) == {"a": ("p", {"_day": 1})}


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/m/p.parquet", "/m", []),
        ("/m/a=1/p.parquet", "/m", ["a"]),
        ("/m/a=1/p.parquet", "/m/a=1", ["a"]),
        ("/m/a=1/b=2/p.parquet", "/m/a=1", ["a", "b"]),
        ("/m/a=1/x/b=2/p.parquet", "/m", ["a", "b"]),
        ("/lr=3/m/p.parquet", "/lr=3/m", []),
        ("/lr=3/m/a=1/p.parquet", "/lr=3/m", ["a"]),
        ("bucket/a=1/b=2/x.csv", "bucket/a=1/b=2", ["a", "b"]),
        ("/m/=1/p.parquet", "/m", []),
        ("/m/=/p.parquet", "/m", []),
        ("/m/style=s1.parquet", "/m", []),
    ],
)
def test_which_folders_are_columns(path: str, folder: str, expected: list[str]) -> None:
    assert [name for name, _ in partitions_of(path, folder)] == expected


@pytest.mark.parametrize("place", ["style=s1", "style=s1/p.parquet", "style=s1/*.parquet"])
def test_a_part_of_the_folders_gives_the_same_rows_as_all(tmp_path: Path, place: str) -> None:
    put(f"{tmp_path}/style=s1/p.parquet", [{"id": "a", "prompt": "p"}])
    assert by_id(tmp_path) == by_id(f"{tmp_path}/{place}") == {"a": ("p", {"style": "s1"})}


def test_partitioning_can_be_switched_off(tmp_path: Path) -> None:
    put(f"{tmp_path}/style=s1/p.parquet", [{"id": "a", "prompt": "p"}])
    assert by_id(tmp_path, manifest={"hive_partitioning": False}) == {"a": ("p", {})}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_file_may_repeat_its_folder_and_may_not_contradict_it(
    tmp_path: Path, ending: str
) -> None:
    rows = [{"id": "a", "prompt": "p", "n": 5}, {"id": "b", "prompt": "p", "n": 5}]
    put(f"{tmp_path}/n=5/p.{ending}", rows)
    assert [str(extra["n"]) for _, extra in by_id(tmp_path).values()] == ["5", "5"]
    put(f"{tmp_path}/n=5/p.{ending}", [*rows, {"id": "c", "prompt": "p", "n": 6}])
    with pytest.raises(
        ManifestError, match=r"its column 'n' has the value '?6'?, but the folder"
    ) as e:
        opened(tmp_path)
    assert e.value.where == f"{tmp_path}/n=5/p.{ending}"
    assert "manifest.hive_partitioning: false" in e.value.reason
    kept = by_id(tmp_path, manifest={"hive_partitioning": False})
    assert [str(extra["n"]) for _, extra in kept.values()] == ["5", "5", "6"]


@pytest.mark.parametrize(
    ("cells", "value", "agrees"),
    [
        (pa.array([0.5]), "0.50", True),
        (pa.array([True]), "true", True),
        (pa.array([None], pa.string()), NULL, True),
        (pa.array([None], pa.string()), "x", False),
        (pa.array([1]), NULL, False),
        (pa.array([date(2026, 1, 2)]), "2026-01-02", True),
        (pa.array([at("2026-01-02")]), "2026-01-02 00%3A00%3A00", True),
        (pa.array(["1"]), "01", False),
        (pa.array([1]), "x", False),
        (pa.array(["x"]).dictionary_encode(), "x", True),
        (pa.array([["x"]]), "x", False),
    ],
)
def test_agreement_is_by_value(tmp_path: Path, cells: pa.Array, value: str, agrees: bool) -> None:
    write(tmp_path / f"k={value}" / "p.parquet", {"prompt": ["p"], "k": cells})
    if agrees:
        assert opened(tmp_path).extra_schema.field("k").type == cells.type
    else:
        with pytest.raises(ManifestError, match="its column 'k' has the value"):
            opened(tmp_path)


def test_a_column_that_is_text_in_another_file_is_text(tmp_path: Path) -> None:
    put(f"{tmp_path}/n=5/p.parquet", [{"id": "a", "prompt": "p"}])
    put(f"{tmp_path}/q.parquet", [{"id": "b", "prompt": "p", "n": "x"}])
    assert by_id(tmp_path) == {"a": ("p", {"n": "5"}), "b": ("p", {"n": "x"})}


def test_a_column_twice_in_a_path_is_named(tmp_path: Path) -> None:
    put(f"{tmp_path}/a=1/b=2/a=3/p.parquet", [{"prompt": "p"}])
    with pytest.raises(ManifestError, match="its folders give the column 'a' twice"):
        opened(tmp_path)


def test_a_folder_alone_makes_a_usable_manifest(tmp_path: Path) -> None:
    put(f"{tmp_path}/prompt=red/p.parquet", [{"note": 1}])
    (entry,) = entries(tmp_path, manifest={"keep_columns": "none"})
    assert valid(entry).prompt == "red"


def test_lines_that_are_not_rows_stay_rejected(tmp_path: Path) -> None:
    (tmp_path / "prompt=red").mkdir()
    (tmp_path / "prompt=red/p.jsonl").write_text('{"id": "a"}\n[1]\n')
    first, second = entries(tmp_path)
    assert valid(first).prompt == "red"
    assert "is not a JSON object" in rejected(second).failure.message


def test_a_file_on_a_web_server(tmp_path: Path) -> None:
    content = write(tmp_path / "p.parquet", {"id": ["a"]}).read_bytes()
    with serving() as origin:
        url = origin.on("/set/prompt=a%20cat/p.parquet", ok(content))
        assert by_id(url) == {"a": ("a cat", {})}


def test_a_table_for_a_manifest_may_have_folders(tmp_path: Path) -> None:
    put(f"{tmp_path}/style_image=%2Fs1.png/n=5/p.csv", [{"id": "1", "prompt": "p"}])
    table = {"manifest": {"path": str(tmp_path)}, "output": {"path": "unused"}}
    rows = table_rows(RunConfig.model_validate(table))
    expected = [{"id": "1", "prompt": "p", "style_image": "/s1.png", "n": 5}]
    assert [row for batch in rows.batches for row in batch.to_pylist()] == expected


@pytest.mark.s3
def test_folders_in_a_bucket(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    for style in ("s1", "s 2"):
        folder = s3_server.folder / bucket / f"set/style={style.replace(' ', '%20')}/prompt=red"
        write(folder / "p.parquet", {"id": [style]})
    for place in ("set", "set/*/*/*.parquet", "set/style=*/prompt=red"):
        found = by_id(f"s3://{bucket}/{place}", storage=s3_server.options)
        expected = {"s1": ("red", {"style": "s1"}), "s 2": ("red", {"style": "s 2"})}
        assert found == expected, place
