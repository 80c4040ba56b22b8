from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ManifestError
from pipelines.record import RunFacts, make_record, record_schema
from pipelines.rows import ManifestRow, Outcome
from tests.pipelines.manifests import entries, opened, valid, write

# Columns


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.parquet",
        {"key": [1], "caption": ["a fox"], "prompt": ["not this"], "looks": [["a", "b"]]},
    )
    mapping = {"id": "key", "prompt": "caption", "reference_images": "looks"}
    (entry,) = entries(path, manifest={"columns": mapping, "base_uri": "s3://bucket/x"})
    assert valid(entry).id == "1"
    assert valid(entry).prompt == "a fox"
    assert valid(entry).style_images == ("s3://bucket/x/a", "s3://bucket/x/b")
    assert entry.extra == {"manifest_prompt": "not this"}


def test_reference_images_is_another_name_for_style_images(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"reference_images": [["/a", "/b"]], "style_image": "c"})
    (entry,) = entries(path, manifest={"base_uri": "/x"})
    assert valid(entry).style_images == ("/x/c", "/a", "/b")


def test_one_column_may_be_two_inputs(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"photo": ["/a"]})
    mapping = {"content_image": "photo", "style_image": "photo"}
    (entry,) = entries(path, manifest={"columns": mapping})
    assert (valid(entry).content_image, valid(entry).style_images) == ("/a", ("/a",))


def test_columns_with_the_name_of_a_record_column_get_a_prefix(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.parquet",
        {"prompt": ["a"], "status": ["s"], "model": ["m"], "manifest_model": ["mm"]},
    )
    (entry,) = entries(path)
    assert entry.extra == {
        "manifest_status": "s",
        "manifest_manifest_model": "m",
        "manifest_model": "mm",
    }


@pytest.mark.parametrize(
    ("columns", "manifest", "message"),
    [
        ({"text": ["a"]}, {}, "no usable column: it needs one of prompt, .*has text"),
        ({"id": [1], "seed": [1]}, {}, "no usable column"),
        ({"style": ["a"]}, {}, "one of prompt, .*, style_images, and has style; name"),
        ({"prompt": ["a"]}, {"columns": {"prompt": "captoin"}}, "there is no column 'captoin'"),
        ({"caption": ["a"]}, {"columns": {"prompt": "captoin"}}, "did you mean 'caption'"),
        ({"prompt": ["a"]}, {"columns": {"promt": "prompt"}}, "did you mean 'prompt'"),
        (
            {"a": ["x"], "b": ["y"]},
            {"columns": {"style_images": "a", "reference_images": "b"}},
            "means the same as style_images",
        ),
        ({"style_images": ["a"], "reference_images": ["b"]}, {}, "mean the same; say which"),
    ],
    ids=["none", "numbers", "style", "missing", "nearest", "ours", "twice", "alias"],
)
def test_columns_that_cannot_be_used(
    tmp_path: Path, columns: dict[str, Any], manifest: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "m.parquet", columns)
    with pytest.raises(ManifestError, match=message):
        opened(path, manifest=manifest)


def test_two_columns_with_one_name_are_rejected(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["prompt", "prompt"])
    with pytest.raises(ManifestError, match="two columns named 'prompt'"):
        opened(write(tmp_path / "m.parquet", table))


def test_a_default_replaces_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", {"seed": [1, 2]})
    found = entries(path, defaults={"prompt": "a fox"})
    assert [valid(entry).prompt for entry in found] == ["a fox", "a fox"]


# Several files


def test_files_with_different_columns_become_one_table(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"], "n": pa.array([1], pa.int32())})
    write(tmp_path / "m/2.parquet", {"prompt": ["b"], "n": pa.array([2**40]), "new": ["x"]})
    write(tmp_path / "m/3.parquet", {"width": [512], "n": pa.array([None], pa.null())})
    manifest = opened(tmp_path / "m")
    assert manifest.extra_schema == pa.schema([("n", pa.int64()), ("new", pa.string())])
    assert [entry.extra for entry in manifest.entries()] == [
        {"n": 1, "new": None},
        {"n": 2**40, "new": "x"},
        {"n": None, "new": None},
    ]


def test_incompatible_types_are_reported_with_both_files(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"], "n": [1]})
    write(tmp_path / "m/2.parquet", {"prompt": ["b"], "n": ["x"]})
    with pytest.raises(ManifestError, match=r"2\.parquet: its column 'n' is string, but int64"):
        opened(tmp_path / "m")
    assert len(entries(tmp_path / "m", manifest={"keep_columns": "none"})) == 2


def test_a_value_that_does_not_fit_the_common_type_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "m/1.parquet", {"prompt": ["a"], "n": [1.5]})
    write(tmp_path / "m/2.parquet", {"prompt": ["b"], "n": [2**53 + 1]})
    with pytest.raises(ManifestError, match=r"2\.parquet: its column 'n' does not go into double"):
        entries(tmp_path / "m")


def test_relative_references_are_relative_to_their_own_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "m.parquet", {"content_image": ["../a.png", "b.png"]})
    found = entries([str(tmp_path / "one/m.parquet"), str(tmp_path / "two/m.parquet")])
    images = [entry.row.content_image for entry in found if isinstance(entry.row, ManifestRow)]
    assert images == [
        f"{tmp_path}/a.png",
        f"{tmp_path}/one/b.png",
        f"{tmp_path}/a.png",
        f"{tmp_path}/two/b.png",
    ]


# Pass-through


EXTRAS = pa.table(
    {
        "ns": pa.array([1, None], pa.timestamp("ns", "UTC")),
        "us": pa.array([1, None], pa.timestamp("us")),
        "far": pa.array([2**60, None], pa.timestamp("us")),
        "day": pa.array([10**8, None], pa.date32()),
        "clock": pa.array([1, None], pa.time64("ns")),
        "span": pa.array([1, None], pa.duration("ns")),
        "money": pa.array([1, None], pa.decimal128(10, 2)),
        "category": pa.array(["a", None]).dictionary_encode(),
        "tags": pa.array([["a", None], None]),
        "box": pa.array([{"x": 1, "y": 2.5}, None]),
        "pairs": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int32())),
        "vector": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)),
        "half": pa.array([1.5, None], pa.float16()),
        "raw": pa.array([b"\xff", None], pa.large_binary()),
        "times": pa.array([[1, None], None], pa.list_(pa.timestamp("ns"))),
        "nothing": pa.array([None, None], pa.null()),
        "a.b": pa.array([1, None], pa.uint8()),
    }
)


def test_own_columns_reach_the_record_unchanged(tmp_path: Path) -> None:
    table = EXTRAS.append_column("prompt", pa.array(["a", "b"]))
    manifest = opened(write(tmp_path / "m.parquet", table))
    read = pq.read_table(tmp_path / "m.parquet")
    facts = RunFacts(run_id="run", model="m", preset="exact")
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    records = [
        make_record(entry, Outcome(row_id=entry.row.id), facts, attempt=1, created_at=now)
        for entry in manifest.entries()
    ]
    schema = record_schema(manifest.extra_schema)
    written = pa.Table.from_pylist(records, schema=schema)
    for name in EXTRAS.column_names:
        assert written.schema.field(name).type == read.schema.field(name).type, name
        assert written.column(name).equals(read.column(name)), name


@pytest.mark.parametrize("name", ["Prompt", "PROMPT", " prompt "])
def test_a_name_like_that_of_an_input_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = write(tmp_path / "m.parquet", {"content_image": ["a.png"], name: ["a cat"]})
    assert valid(entries(path)[0]).prompt == ""
    (said,) = caplog.messages
    assert said.startswith("column_not_used")
    assert "manifest.columns: {prompt: " in said


def test_names_of_inputs_that_are_used_or_unlike_are_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "m.parquet", {"prompt": ["a"], "PROMPT": ["b"], "Caption": ["c"]})
    assert len(entries(path)) == 1
    path = write(tmp_path / "m.parquet", {"content_image": ["a.png"], "Prompt": ["b"]})
    assert len(entries(path, manifest={"columns": {"prompt": "Prompt"}})) == 1
    assert not caplog.messages
