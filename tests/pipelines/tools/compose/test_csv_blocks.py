"""Tables from blocks of CSV are those from its lines."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.manifest import csv_blocks
from pipelines.tools.compose import table as table_module
from pipelines.tools.compose.table import table_rows
from tests.pipelines.manifests import config
from uso_core.errors import UsoError

USUAL = ("", "a", "a b", '"q"', '"a,b"', '"a""b"', '"two\nlines"')
CELLS = (*USUAL, 'x"y', '"', "1", "0.50", " ", "ü")
LINES = st.lists(
    st.one_of(
        st.lists(st.sampled_from(USUAL), min_size=3, max_size=3),
        st.lists(st.sampled_from(CELLS), min_size=2, max_size=4),
        st.just([]),
    ),
    min_size=1,
    max_size=12,
)


def made(path: Path) -> Any:
    """Return the table, or the message of the error."""
    try:
        rows = table_rows(config(path))
        return pa.Table.from_batches(list(rows.batches), rows.schema).to_pylist()
    except UsoError as error:
        return str(error)


@settings(max_examples=100, deadline=None)
@given(
    LINES, st.sampled_from(("\n", "\r\n", "\r")), st.booleans(), st.sampled_from((3, 40, 1 << 20))
)
def test_blocks_give_the_rows_of_the_lines(
    lines: list[list[str]], end: str, ends: bool, block: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "m.csv"
        text = end.join(",".join(cells) for cells in [["prompt", "id", "own"], *lines])
        path.write_text(text + (end if ends else ""), encoding="utf-8", newline="")
        patch.setattr(csv_blocks, "_BLOCK", block)
        found = made(path)
        patch.setattr(table_module, "read_blocks", lambda _: iter(()))
        assert found == made(path)


def test_usual_files_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.csv"
    path.write_text('prompt,id\n"a, b",1\n"c\nd",2\n', encoding="utf-8")
    monkeypatch.setattr(
        "pipelines.manifest.text_table.chunks", lambda *_: pytest.fail("read again")
    )
    assert made(path) == [{"id": "1", "prompt": "a, b"}, {"id": "2", "prompt": "c\nd"}]


def test_a_path_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = tmp_path / "m.csv"
    path.write_text("id,content_image\na,~/b.png\n", encoding="utf-8")
    assert made(path)[0]["content_image"] == "/home/somebody/b.png"
