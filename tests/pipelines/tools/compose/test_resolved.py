"""References resolved a column at a time are the same as one by one, and as in a run."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fields.cells import LONGEST_PATH, reference, references
from pipelines.manifest.references import resolve_reference
from pipelines.tools.compose import resolved as module
from pipelines.tools.compose.resolved import resolved, resolved_one_by_one
from uso_core.errors import InvalidRequestError

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
    st.sampled_from(
        ("iVBORw0KGgo" + "A" * 80, "d/" * 40, "image/png;base64,AA", "a\0b", "x:y://z")
    ),
)
COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), TEXTS), max_size=6),
    st.lists(st.one_of(st.none(), st.sampled_from(PLAIN)), max_size=6),
    st.lists(st.one_of(st.sampled_from(PLAIN), TEXTS), max_size=6),
    st.lists(st.sampled_from(PLAIN).map("s3://b/".__add__), max_size=6),
)


def as_in_a_run(text: str | None, folder: str, *, json_lists: bool) -> str | None:
    """Resolve a cell as the parser of rows does; what it rejects stays as it is."""
    is_list = json_lists and text is not None and text.lstrip().startswith("[")
    try:
        cell = reference("f", text)
        found = references("f", text) if is_list else [cell]
    except InvalidRequestError:
        return text
    items = [resolve_reference(item, folder) for item in found if isinstance(item, str)]
    return json.dumps(items) if is_list else next(iter(items), text)


@settings(max_examples=150, deadline=None)
@given(COLUMNS, st.sampled_from(FOLDERS), st.integers(0, 2), st.booleans())
def test_columns_and_single_references(
    texts: list[str | None], folder: str, start: int, json_lists: bool
) -> None:
    column = pa.array(texts, pa.string())[start:]
    expected = resolved_one_by_one(column, folder, json_lists=json_lists)
    assert resolved(column, folder, json_lists=json_lists).equals(expected)
    run = [as_in_a_run(text, folder, json_lists=json_lists) for text in texts[start:]]
    assert expected.to_pylist() == run
    lists = pa.ListArray.from_arrays([0, len(column), len(column)], column)
    single = resolved(column, folder).to_pylist()
    assert resolved(lists, folder, json_lists=json_lists).to_pylist() == [single, []]


@pytest.mark.parametrize("start", ["", "s3://b/", "/data/"])
def test_usual_columns_are_seen_at_a_glance(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resolved_one_by_one", lambda *_, **__: pytest.fail("one by one"))
    column = pa.array([*(start + text for text in PLAIN), None])
    found = resolved(column, "/here/").to_pylist()
    assert found == [*((start or "/here/") + text for text in PLAIN), None]
