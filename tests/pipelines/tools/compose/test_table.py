from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ComposeError, ManifestError
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config, write


def listed(path: Path | list[str], **manifest: Any) -> list[dict[str, Any]]:
    rows = table_rows(config(path, manifest=manifest))
    return [row for batch in rows.batches for row in batch.to_pylist()]


def test_csv_columns_get_our_names_and_absolute_references(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "image_id,caption,file,style_images,mark\n"
        '7,a cat,img/cat.jpg,"[""s/a.png"", ""s3://b/c.png""]",x\n'
        "8,,/abs/dog.jpg,../up.png,\n"
    )
    columns = {"id": "image_id", "prompt": "caption", "content_image": "file"}
    first, second = listed(path, columns=columns)
    assert first["id"] == "7"
    assert first["prompt"] == "a cat"
    assert first["content_image"] == f"{tmp_path}/img/cat.jpg"
    assert json.loads(first["style_images"]) == [f"{tmp_path}/s/a.png", "s3://b/c.png"]
    assert first["mark"] == "x"
    assert second["prompt"] is None
    assert second["content_image"] == "/abs/dog.jpg"
    assert second["style_images"] == f"{tmp_path.parent}/up.png"


def test_rows_without_an_id_get_a_readable_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"content_image": "a/cat.jpg", "prompt": "x", "num_steps": 4},
        {"content_image": "b/cat.jpg", "prompt": "x"},
        {"content_image": "a/cat.jpg", "prompt": "x", "num_steps": 4},
        {"content_image": None, "prompt": "x"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    one, other, again, without = listed(path)
    assert one["id"].startswith("cat-")
    assert other["id"].startswith("cat-")
    assert again["id"] == f"{one['id']}-2"
    assert without["id"] is None  # a run takes the hash of its content
    assert len({one["id"], other["id"], again["id"]}) == 3
    assert one["num_steps"] == 4


def test_ids_do_not_depend_on_where_the_table_is(tmp_path: Path) -> None:
    table = pa.table({"content_image": ["x.jpg"], "style_images": [["a.png", "b.png"]]})
    ids = {listed(write(tmp_path / name / "t.parquet", table))[0]["id"] for name in ("a", "b")}
    assert len(ids) == 1


def test_the_originals_eval_list(tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    path.write_text(json.dumps([{"prompt": "p", "image_paths": ["", "s.png"], "save_dir": "o"}]))
    (row,) = listed(path)
    assert not row["content_image"]
    assert row["style_images"] == [f"{tmp_path}/s.png"]
    assert row["save_dir"] == "o"


def test_parquet_keeps_types_and_null_lists(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2],
            "prompt": pa.array(["a", "b"]).dictionary_encode(),
            "style_images": [["x.png"], None],
            "picture": [b"\x89PNG", None],
            "note": [{"a": 1}, None],
        }
    )
    path = write(tmp_path / "t.parquet", table)
    first, second = listed(path, columns={"content_image": "picture"}, base_uri="s3://bucket/in")
    assert first["id"] == "1"
    assert first["prompt"] == "a"
    assert first["style_images"] == ["s3://bucket/in/x.png"]
    assert first["content_image"] == b"\x89PNG"
    assert first["note"] == {"a": 1}
    assert second["style_images"] is None


def test_a_line_that_is_not_a_row_ends_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt"\n')
    with pytest.raises(ComposeError, match="line 2: is not JSON"):
        listed(path)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"caption": ["a"]})
    with pytest.raises(ManifestError, match="did you mean 'caption'"):
        listed(path, columns={"prompt": "capton"})


def test_types_of_an_input_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    paths = [
        str(write(tmp_path / "a.parquet", {"prompt": ["a"], "seed": [1]})),
        str(write(tmp_path / "b.parquet", {"prompt": ["b"], "seed": ["2"]})),
    ]
    with pytest.raises(ComposeError, match=r"column 'seed' is int64 and string, .* one type"):
        listed(paths)


def test_weights_come_through_and_tell_rows_apart(tmp_path: Path) -> None:
    weights = pa.array([[0.5], [1.5], None], pa.list_(pa.float32()))
    columns = {"content_image": ["x.jpg"] * 3, "style_image": ["s.png"] * 3}
    found = listed(write(tmp_path / "t.parquet", {**columns, "style_weights": weights}))
    assert [row["style_weights"] for row in found] == [[0.5], [1.5], None]
    ids = [row["id"] for row in found]
    assert len(set(ids)) == 3
    assert all(row_id.count("-") == 1 for row_id in ids)


def test_json_columns_and_own_columns_of_any_type(tmp_path: Path) -> None:
    def in_json(values: list[Any]) -> pa.Array:
        texts = pa.array(map(json.dumps, values), pa.string())
        return pa.ExtensionArray.from_storage(pa.json_(), texts)

    words = pa.array(["x", "y"]).dictionary_encode()
    columns = {
        "id": in_json(["a", 2]),
        "prompt": in_json(["a cat", None]),
        "content_image": in_json(["cat.jpg", None]),
        "style_images": pa.ListArray.from_arrays([0, 1, 2], in_json(["s.png", "t.png"])),
        "words": pa.ListArray.from_arrays([0, 1, 2], words),
        "nothing": pa.array([[None, None], None], pa.list_(pa.null())),
    }
    table = pa.table(columns)
    first, second = listed(write(tmp_path / "t.parquet", table, row_group_size=1))
    assert (first["id"], first["prompt"]) == ("a", "a cat")
    assert (second["id"], second["prompt"]) == ("2", None)
    assert first["content_image"] == f"{tmp_path}/cat.jpg"
    assert second["style_images"] == [f"{tmp_path}/t.png"]
    assert (first["words"], first["nothing"]) == (["x"], [None, None])


def test_names_of_images_that_start_like_a_list_are_absolute(tmp_path: Path) -> None:
    names = ["[2023] cat.png", '["a.png"]', "[x"]
    table = pa.table({"content_image": names, "style_images": [[name] for name in names]})
    rows = listed(write(tmp_path / "t.parquet", table))
    absolute = [f"{tmp_path}/{name}" for name in names]
    assert [row["content_image"] for row in rows] == absolute
    assert [row["style_images"] for row in rows] == [[name] for name in absolute]


def test_text_that_a_run_rejects_stays_as_it_is(tmp_path: Path) -> None:
    image = "iVBORw0KGgo" + "A" * 80
    rows = listed(write(tmp_path / "t.parquet", pa.table({"content_image": [image, "a.png"]})))
    assert [row["content_image"] for row in rows] == [image, f"{tmp_path}/a.png"]


def test_paths_in_images_of_hugging_face_are_absolute(tmp_path: Path) -> None:
    images: list[dict[str, Any] | None] = [
        {"bytes": None, "path": "a.png"},
        {"bytes": b"x", "path": "b.png"},
        {"bytes": b"", "path": "/c.png"},
        {"bytes": b"x", "path": None},
        None,
    ]
    table = pa.table({"content_image": images, "style_images": [[image] for image in images]})
    rows = listed(write(tmp_path / "t.parquet", table))
    images[0] = {"bytes": None, "path": f"{tmp_path}/a.png"}
    assert [row["content_image"] for row in rows] == images
    assert [row["style_images"] for row in rows] == [[image] for image in images]


@pytest.mark.parametrize("is_list", [False, True])
def test_names_do_not_become_bytes(tmp_path: Path, is_list: bool) -> None:
    for name, cell in (("a", "a.png"), ("b", b"image")):
        column = {"style_images": [[cell]]} if is_list else {"content_image": [cell]}
        write(tmp_path / f"{name}.parquet", {"prompt": ["p"], **column})
    with pytest.raises(ComposeError, match=r"string>? and .*binary.*, which one file cannot hold"):
        listed(tmp_path)
