"""Ids made for columns are the ids that single rows get."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.fields.cells import LONGEST_PATH
from pipelines.manifest.row_ids import RowIds
from pipelines.tools.compose import names
from pipelines.tools.compose.made_ids import with_made_ids
from pipelines.tools.compose.names import stem

PIECES = ("a", "B-", "-", "--", ".", ".jpg", "/", "?", "://", " ", "ü", "\n", "x" * 81, "_", "7")
URIS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.sampled_from(("a/b.jpg", "s3://b/c-d.png", "data:x", "", "/y" * LONGEST_PATH)),
    st.text(max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(URIS)
def test_usual_files_have_the_names_of_others(uri: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "_USUAL", re.compile(r"(?!)()"))
        by_parts = stem(uri)
    assert stem(uri) == by_parts


def of_row(row: dict[str, Any]) -> str | None:
    """The id that a row gets if its name is free."""
    uri = row["content_image"]
    if row["id"] is not None or not uri or uri.startswith("data:") or len(uri) > LONGEST_PATH:
        return row["id"]  # type: ignore[no-any-return]
    cells = (row["content_image"], row["id"], row["prompt"], row["seed"])
    content = "\0".join("" if cell is None else str(cell) for cell in cells)
    return f"{stem(uri)}-{blake2b(content.encode(), digest_size=6).hexdigest()}"


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from((None, None, "given", "")),
            "content_image": st.one_of(st.none(), URIS),
            "prompt": st.sampled_from((None, "", "a", "b")),
            "seed": st.sampled_from((None, 1, 2)),
        }
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.integers(1, 5))
def test_columns_and_single_rows(rows: list[dict[str, Any]], at_once: int) -> None:
    schema = pa.schema([("id", "string"), ("content_image", "string")])
    schema = pa.schema([*schema, ("prompt", "string"), ("seed", "int64")])
    ids, found = RowIds(), list[str | None]()
    for start in range(0, len(rows), at_once):
        batch = pa.RecordBatch.from_pylist(rows[start : start + at_once], schema=schema)
        columns = dict(zip(schema.names, batch.columns, strict=True))
        found += with_made_ids(columns, ids).to_pylist()
    times = Counter[str | None]()
    expected = []
    for row in rows:
        made = of_row(row)
        if row["id"] is None and made is not None:
            times[made] += 1
            made = made if times[made] == 1 else f"{made}-{times[made]}"
        expected.append(made)
    assert found == expected
