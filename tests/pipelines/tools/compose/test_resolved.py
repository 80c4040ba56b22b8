"""References resolved a column at a time are the same as one by one."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fields.cells import LONGEST_PATH
from pipelines.tools.compose import resolved as module
from pipelines.tools.compose.resolved import resolved, resolved_one_by_one

FOLDERS = ("/data/", "s3://bucket/in/", "https://host/a/")
PARTS = (
    "a",
    "b.jpg",
    "/",
    ".",
    "..",
    "/.",
    "?",
    "~/",
    "[",
    "://",
    "s3://x",
    ":",
    "ü",
    " ",
    '["a"]',
)
PLAIN = ("a/b.jpg", "c.png", "d/e/f", "ü/x.webp")
TEXTS = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=4).map("".join),
    st.sampled_from(("", "data:x", "DATA:x", "file:a", "/x" * LONGEST_PATH, "y" * 5000)),
)
COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), TEXTS), max_size=6),
    st.lists(st.one_of(st.none(), st.sampled_from(PLAIN)), max_size=6),
    st.lists(st.one_of(st.sampled_from(PLAIN), TEXTS), max_size=6),
    st.lists(st.sampled_from(PLAIN).map("s3://b/".__add__), max_size=6),
)


@settings(max_examples=100, deadline=None)
@given(COLUMNS, st.sampled_from(FOLDERS), st.integers(0, 2))
def test_columns_and_single_references(texts: list[str | None], folder: str, start: int) -> None:
    column = pa.array(texts, pa.string())[start:]
    expected = resolved_one_by_one(column, folder)
    assert resolved(column, folder).equals(expected)
    lists = pa.ListArray.from_arrays([0, len(column), len(column)], column)
    assert resolved(lists, folder).to_pylist() == [expected.to_pylist(), []]


@pytest.mark.parametrize("start", ["", "s3://b/", "/data/"])
def test_usual_columns_are_seen_at_a_glance(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolved_one_by_one", lambda *_: pytest.fail("one by one"))
    column = pa.array([*(start + text for text in PLAIN), None])
    found = resolved(column, "/here/").to_pylist()
    assert found == [*((start or "/here/") + text for text in PLAIN), None]
