from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ManifestError
from tests.pipelines.manifests import entries, opened, rejected, valid, write


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
    assert peak < 25 * len(picture)


def test_only_planned_columns_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"], "thumbnail": [b"x"], "label": [1]})
    assert entries(path, manifest={"keep_columns": "none"})[0].extra == {}
    assert entries(path, manifest={"keep_columns": ["label"]})[0].extra == {"label": 1}
    with pytest.raises(ManifestError, match="did you mean 'label'"):
        opened(path, manifest={"keep_columns": ["lable"]})


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


def test_damage_inside_a_file_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": [f"{n:0100d}" for n in range(5000)]})
    content = bytearray(path.read_bytes())
    content[100:50_000] = bytes(49_900)
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"m\.parquet: is not a readable Parquet file"):
        entries(path)
