from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ManifestError
from pipelines.manifest.row_identity import content_hash
from pipelines.rows import ManifestRow, RejectedRow
from tests.pipelines.manifests import entries, opened, rejected, valid, write

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


def test_one_bad_row_costs_no_other(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": list("abc"), "width": [512, 3, 1024]})
    kinds = [type(entry.row) for entry in entries(path)]
    assert kinds == [ManifestRow, RejectedRow, ManifestRow]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([512, None], pa.uint16()),
        pa.array([512, None], pa.int32()),
        pa.array([512, None], pa.float32()),
        pa.array([512, None], pa.decimal128(10, 2)),
        pa.array(["512", None]),
        pa.array(["512", None]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_integers_in_any_column_type(tmp_path: Path, column: pa.Array) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a", "b"], "width": column})
    assert [valid(entry).parameters.width for entry in entries(path)] == [512, None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a.png", None], pa.large_string()),
        pa.array(["a.png", None]).dictionary_encode(),
        pa.array(["a.png", None], pa.string_view()),
        pa.array([{"bytes": None, "path": "a.png"}, None]),
    ],
    ids=lambda column: str(column.type)[:20],
)
def test_references_in_any_text_type(tmp_path: Path, column: pa.Array) -> None:
    path = write(tmp_path / "m.parquet", {"content_image": column})
    assert [valid(e).content_image for e in entries(path)] == [f"{tmp_path}/a.png", None]


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.binary(3)], ids=["binary", "large", "fixed"]
)
def test_inline_bytes_are_inputs_and_not_passed_on(tmp_path: Path, kind: pa.DataType) -> None:
    path = write(
        tmp_path / "m.parquet",
        {"content_image": pa.array([b"abc"], kind), "style_images": [[b"def", b"ghi"]]},
    )
    (entry,) = entries(path)
    assert valid(entry).content_image == b"abc"
    assert valid(entry).style_images == (b"def", b"ghi")
    assert entry.extra == {}


def test_text_that_is_not_utf8_rejects_its_row_alone(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0")
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"ok\xff\xfe")])
    path = write(tmp_path / "m.parquet", {"prompt": broken, "note": broken})
    first, second = entries(path)
    assert valid(first).prompt == "ok"
    assert "column prompt: text that is not UTF-8" in rejected(second).failure.message
    kept = pa.array([first.extra["note"], second.extra["note"]], pa.string())
    assert kept.equals(broken)


def test_a_value_that_python_cannot_hold_rejects_its_row_alone(tmp_path: Path) -> None:
    far = pa.array([0, 2**60], pa.timestamp("us"))
    path = write(tmp_path / "m.parquet", {"prompt": ["a", "b"], "id": far})
    messages = [rejected(entry).failure.message for entry in entries(path)]
    assert messages[0].startswith("column id: datetime.datetime(1970, 1, 1, 0, 0) is not accepted")
    assert messages[1].startswith("column id: a timestamp[us] that cannot be read is not accepted")


# Identity


def test_ids_are_text_integers_or_uuids(tmp_path: Path) -> None:
    for name, column, shown in (
        ("int", pa.array([5, 6]), ["5", "6"]),
        ("float", pa.array([5.0, 6.0]), ["5", "6"]),
        ("text", pa.array(["../../x", "ü" * 256]), ["../../x", "ü" * 256]),
        ("uuid", pa.array([uuid.UUID(int=1).bytes] * 1, pa.uuid()), [str(uuid.UUID(int=1))]),
    ):
        path = write(tmp_path / f"{name}.parquet", {"id": column, "prompt": ["p"] * len(column)})
        assert [valid(entry).id for entry in entries(path)] == shown


def test_without_ids_the_content_is_the_id(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"prompt": ["a", "b", "a", "a"], "label": [1, 2, 3, 4]}
    found = [e.row.id for e in entries(write(tmp_path / "m.parquet", rows))]
    first, second = content_hash({"prompt": "a"}), content_hash({"prompt": "b"})
    assert found == [first, second, f"{first}-2", f"{first}-3"]
    moved = {"prompt": ["b", "new", "a"], "label": [1, 2, 3]}
    after = [e.row.id for e in entries(write(tmp_path / "m2.parquet", moved))]
    assert (after[0], after[2]) == (second, first)


def test_identical_rows_without_an_id_differ_in_their_seed(tmp_path: Path) -> None:
    found = entries(write(tmp_path / "m.parquet", {"prompt": ["a", "a"]}))
    assert len({valid(entry).parameters.seed for entry in found}) == 2


def test_a_second_row_with_an_id_is_rejected_under_another(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["a", "a", "b", "a"], "prompt": list("wxyz")})
    first, second, third, fourth = entries(path)
    assert valid(first).prompt == "w"
    assert valid(third).id == "b"
    assert (second.row.id, fourth.row.id) == ("a~2", "a~3")
    assert "an earlier row has the id 'a' too" in rejected(second).failure.message
    assert rejected(fourth).prompt == "z"


def test_an_id_that_is_not_accepted_gives_way_to_the_content(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": ["x" * 257, "", "ok"], "prompt": ["a", "b", "c"]})
    found = entries(path)
    assert [type(entry.row) for entry in found] == [RejectedRow, RejectedRow, ManifestRow]
    assert all(len(entry.row.id) == 32 for entry in found[:2])
    assert "column id" in rejected(found[1]).failure.message


def test_shards_split_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"id": [*range(200), 7], "prompt": ["p"] * 201})
    shards = [entries(path, manifest={"shard": f"{index}/3"}) for index in range(3)]
    ids = Counter(entry.row.id for shard in shards for entry in shard)
    assert sorted(ids) == sorted([*map(str, range(200)), "7~2"])
    assert set(ids.values()) == {1}
    assert all(len(shard) > 40 for shard in shards)
    assert opened(path, manifest={"shard": "0/3"}).total_rows is None


# Size


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


def test_a_manifest_without_rows(tmp_path: Path) -> None:
    manifest = opened(write(tmp_path / "m.parquet", {"prompt": pa.array([], pa.string())}))
    assert manifest.total_rows == 0
    assert list(manifest.entries()) == []


def test_rows_are_read_in_small_batches(tmp_path: Path) -> None:
    many = write(tmp_path / "many.parquet", {"prompt": [str(n) for n in range(3000)]})
    assert [valid(entry).prompt for entry in entries(many)] == [str(n) for n in range(3000)]
    picture = bytes(200_000)
    big = write(
        tmp_path / "big.parquet",
        {"content_image": pa.array([picture] * 200, pa.binary())},
    )
    before = pa.total_allocated_bytes()
    peak = 0
    for entry in opened(big).entries():
        assert valid(entry).content_image == picture
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert peak < 20 * len(picture)


def test_only_planned_columns_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"], "thumbnail": [b"x"], "label": [1]})
    assert entries(path, manifest={"keep_columns": "none"})[0].extra == {}
    assert entries(path, manifest={"keep_columns": ["label"]})[0].extra == {"label": 1}
    with pytest.raises(ManifestError, match="did you mean 'label'"):
        opened(path, manifest={"keep_columns": ["lable"]})


# What can go wrong with files


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"]})
    for content in (b"", b"PAR1", b"<html>not here</html>" * 10):
        (tmp_path / "m/2.parquet").write_bytes(content)
        with pytest.raises(ManifestError, match=r"2\.parquet: is not a readable Parquet file"):
            opened(tmp_path / "m")


def test_a_file_whose_column_names_are_damaged_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"], "a_long_name": [1]})
    path.write_bytes(path.read_bytes().replace(b"a_long_name", b"a_long\x80name"))
    with pytest.raises(ManifestError, match=r"m\.parquet: is not a readable Parquet file"):
        entries(path)


def test_a_file_that_vanishes_during_the_run_is_told(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"]})
    second = write(tmp_path / "m/2.parquet", {"prompt": ["b"]})
    found = opened(tmp_path / "m").entries()
    next(found)
    second.unlink()
    with pytest.raises(ManifestError, match=r"2\.parquet: does not exist"):
        next(found)


def test_a_file_that_changes_during_the_run_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"]})
    manifest = opened(path)
    write(path, {"prompt": ["a", "b"]})
    with pytest.raises(ManifestError, match="changed after the run had looked at it"):
        next(manifest.entries())


def test_a_file_that_changes_while_it_is_read_is_told_once_it_was_read(tmp_path: Path) -> None:
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


def test_damage_inside_a_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": [f"{n:0100d}" for n in range(5000)]})
    content = bytearray(path.read_bytes())
    content[100:50_000] = bytes(49_900)
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"m\.parquet: is not a readable Parquet file"):
        entries(path)


def test_a_secret_that_is_not_set_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"]})
    with pytest.raises(ManifestError, match="NO_SUCH_VARIABLE"):
        opened(path, storage={"s3": {"key": "${NO_SUCH_VARIABLE}"}})


def test_the_originals_eval_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    items = [
        {"prompt": "a", "image_paths": ["c.png", "s.png"], "save_dir": "one"},
        {"prompt": "b", "image_paths": ["", "/s.png", "t.png"], "save_dir": "two"},
        {"prompt": "c", "image_paths": ["c.png"], "save_dir": "three"},
        {"prompt": "d", "image_paths": []},
        "not a row",
        {"prompt": "e", "image_paths": 5},
    ]
    path.write_text(json.dumps(items), encoding="utf-8")
    manifest = opened(path)
    assert manifest.total_rows == 6
    one, two, three, four, five, six = manifest.entries()
    assert valid(one).content_image == f"{tmp_path}/c.png"
    assert valid(one).style_images == (f"{tmp_path}/s.png",)
    assert valid(two).content_image is None
    assert valid(two).style_images == ("/s.png", f"{tmp_path}/t.png")
    assert valid(three).style_images == ()
    assert valid(four).prompt == "d"
    assert [entry.extra for entry in (one, two, three, four)] == [
        {"save_dir": name} for name in ("one", "two", "three", None)
    ]
    assert "item 5: is not a JSON object" in rejected(five).failure.message
    assert "image_paths is not a list" in rejected(six).failure.message
