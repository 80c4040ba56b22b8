"""Rows of JSON that are read by the column equal rows that are made one by one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tools.compose import table as table_module
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config
from uso_core.errors import UsoError

VALUES = st.one_of(
    st.none(),
    st.sampled_from(("", "a", "b.png", "ü", 0, 7, -1, 2**53 + 1, 2**70, 1.0, 0.5, True, False)),
    st.sampled_from(([], ["a.png"], ["a.png", None], [1, 0.5], [[1]], {"a": 1}, {"a": 2**53 + 1})),
)
NAMES = ("id", "prompt", "content_image", "style_images", "seed", "own", "other")
ROWS = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(NAMES), VALUES).map(json.dumps),
        st.fixed_dictionaries({"id": st.sampled_from("abc"), "own": st.integers()}).map(json.dumps),
        st.fixed_dictionaries({"prompt": st.text(), "own": st.floats(0, 9)}).map(json.dumps),
        st.sampled_from(("", "[1]", "{", '{"id": "a", "id": "b"}', '{"prompt": "\\ud800"}')),
    ),
    min_size=1,
    max_size=8,
)


def made(path: Path) -> Any:
    """Return the table, or the message of the error."""
    try:
        rows = table_rows(config(path))
        return pa.Table.from_batches(list(rows.batches), rows.schema)
    except UsoError as error:
        return str(error)
    except pa.ArrowInvalid as error:
        return type(error)


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_columns_are_those_of_the_rows(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "m.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        found = made(path)
        patch.setattr(table_module, "json_columns", lambda *_: None)
        assert found == made(path)


def test_usual_lines_are_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    rows = [{"id": "a", "prompt": "p", "own": 1}, {"id": "b", "own": 0.5, "style_images": ["s"]}]
    path.write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(table_module, "_from_rows", lambda *_: pytest.fail("row by row"))
    first, second = made(path).to_pylist()
    assert (first["prompt"], first["own"], first["style_images"]) == ("p", 1.0, None)
    assert (second["id"], second["style_images"]) == ("b", [f"{tmp_path}/s"])
