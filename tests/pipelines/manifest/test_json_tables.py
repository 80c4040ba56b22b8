from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ManifestError
from pipelines.rows import ManifestRow, RejectedRow
from tests.pipelines.manifests import entries, opened, rejected, valid


def lines(path: Path, *rows: object) -> Path:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def table(path: Path, *rows: Any) -> pa.Table:
    """Return the pass-through columns of a JSON Lines manifest as records get them."""
    manifest = opened(lines(path, *({"prompt": "p", **row} for row in rows)))
    extras = [dict(entry.extra) for entry in manifest.entries()]
    return pa.Table.from_pylist(extras, schema=manifest.extra_schema)


def test_json_lines(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl",
        {"id": 1, "prompt": "a", "style_images": ["s.png"], "label": 5},
        "",
        {"id": 2, "prompt": "b", "width": 512.0, "new": {"x": [1.5]}},
    )
    manifest = opened(path)
    assert manifest.total_rows == 2
    first, second = manifest.entries()
    assert valid(first).style_images == (f"{tmp_path}/s.png",)
    assert valid(second).parameters.width == 512
    assert first.extra == {"label": 5, "new": None}
    assert second.extra == {"label": None, "new": {"x": [1.5]}}


def test_a_json_file_of_lines_or_of_rows(tmp_path: Path) -> None:
    assert len(entries(lines(tmp_path / "lines.json", {"prompt": "a"}, {"prompt": "b"}))) == 2
    rows = [{"prompt": "a", "style_image": "/s.png"}, {"prompt": "b"}]
    path = tmp_path / "rows.json"
    path.write_text("\ufeff " + json.dumps(rows, indent=1), encoding="utf-8")
    assert [valid(entry).prompt for entry in entries(path)] == ["a", "b"]


def test_lines_that_are_not_rows_affect_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    broken = [
        b'{"prompt": ',
        b"[1, 2]",
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b"[" * 100_000,
        b"[" * 100_000,
    ]
    path.write_bytes(
        b"\xef\xbb\xbf" + b"\n".join([b'{"prompt": "a"}', *broken, b'{"prompt": "b"}'])
    )
    found = entries(path)
    kinds = [type(entry.row) for entry in found]
    assert kinds == [ManifestRow, *[RejectedRow] * 6, ManifestRow]
    messages = [rejected(entry).failure.message for entry in found[1:-1]]
    assert f"{path} line 2: is not JSON" in messages[0]
    assert "line 3: is not a JSON object" in messages[1]
    assert "line 4: is not UTF-8" in messages[2]
    assert "line 5: is not UTF-8" in messages[3]
    assert "line 6: is not JSON" in messages[4]
    assert len({entry.row.id for entry in found}) == len(found)
    assert found[6].row.id == f"{found[5].row.id}-2"


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None, 2.5], pa.float64(), [1.0, None, 2.5]),
        ([1, 2**40], pa.int64(), [1, 2**40]),
        (["a", 1, {"x": None}], pa.string(), ["a", "1", '{"x": null}']),
        ([True, 1], pa.string(), ["true", "1"]),
        ([10**30, 1], pa.string(), [str(10**30), "1"]),
        ([{}, {}], pa.string(), ["{}", "{}"]),
        ([[], []], pa.list_(pa.null()), [[], []]),
        ([{"x": 1}, {"y": "z"}], None, [{"x": 1, "y": None}, {"x": None, "y": "z"}]),
    ],
    ids=["real", "integer", "mixed", "boolean", "huge", "empty", "list", "struct"],
)
def test_types_of_own_json_columns(
    tmp_path: Path, values: list[Any], kind: pa.DataType | None, kept: list[Any]
) -> None:
    found = table(tmp_path / "m.jsonl", *({"own": value} for value in values)).column("own")
    assert found.to_pylist() == kept
    assert kind is None or found.type == kind


def test_types_come_from_all_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"own": 1}] * 1100
    found = table(tmp_path / "m.jsonl", *rows, {"own": "text"}).column("own")
    assert found.type == pa.string()
    assert found.to_pylist()[-2:] == ["1", "text"]


@pytest.mark.parametrize(
    "wrap", [lambda number: {"k": number}, lambda number: [number]], ids=["struct", "list"]
)
def test_large_integers_and_floats_in_the_same_lists_and_objects(
    tmp_path: Path, wrap: Callable[[float], Any]
) -> None:
    rows: list[dict[str, Any]] = [{"own": wrap(2**53 + 1)}] * 1024
    found = table(tmp_path / "m.jsonl", *rows, {"own": wrap(0.5)}).column("own")
    assert found.to_pylist()[-2:] == [wrap(2.0**53), wrap(0.5)]


def test_weights_in_json_csv_and_the_originals_eval_list(tmp_path: Path) -> None:
    jsonl = lines(tmp_path / "m.jsonl", {"style_image": "s.png", "style_weights": [0.5]})
    csv = tmp_path / "m.csv"
    csv.write_text('style_images,style_weights\n"[""/a"", ""/b""]","[0.5, 2]"\n/a,0.5\n/a,\n')
    listed = tmp_path / "m.json"
    item = {"prompt": "p", "image_paths": ["", "/a", "/b"], "style_weights": [0, 1.5]}
    listed.write_text(json.dumps([item]))
    found = [valid(entry).style_weights for path in (jsonl, csv, listed) for entry in entries(path)]
    assert found == [(0.5,), (0.5, 2.0), (0.5,), None, (0.0, 1.5)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.jsonl", "", "no usable column"),
        ("m.csv", "", "no usable column"),
        ("m.csv", "prompt,prompt\n", "two columns named 'prompt'"),
        ("m.json", "[1, 2", "is not JSON"),
        ("m.json", "[]", "no usable column"),
        ("m.json", '"text"', "no usable column"),
    ],
)
def test_files_that_are_not_manifests(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        opened(path)


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
