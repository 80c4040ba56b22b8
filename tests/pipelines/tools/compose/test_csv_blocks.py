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
CELLS = (*USUAL, 'x"y', '"', '"a"b', "1", "0.50", "1,5", " 2,50", "1e5", " ", "ü", "a\0", "\ufeff")
ENDS = ("\n", "\r\n", "\r")
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


@settings(max_examples=60, deadline=None)
@given(
    LINES,
    st.sampled_from(ENDS),
    st.booleans(),
    st.sampled_from((3, 40, 1 << 20)),
    st.sampled_from(((",", ".csv"), (";", ".csv"), ("|", ".csv"), ("\t", ".tsv"))),
    st.booleans(),
)
def test_blocks_give_the_rows_of_the_lines(
    lines: list[list[str]],
    end: str,
    ends: bool,
    block: int,
    kind: tuple[str, str],
    has_mark: bool,
) -> None:
    delimiter, ending = kind
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / f"m{ending}"
        text = end.join(delimiter.join(cells) for cells in [["prompt", "seed", "own"], *lines])
        encoding = "utf-8-sig" if has_mark else "utf-8"
        path.write_text(text + (end if ends else ""), encoding=encoding, newline="")
        patch.setattr(csv_blocks, "_BLOCK", block)
        found = made(path)
        patch.setattr(table_module, "read_blocks", lambda _: iter(()))
        assert found == made(path)


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_text_that_is_not_utf_8_is_named_by_its_line(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m{ending}"
    delimiter = b"," if ending == ".csv" else b"\t"
    path.write_bytes(b"prompt%bseed\na%b1\n\xff%b2\n" % ((delimiter,) * 3))
    assert made(path) == f"{path} line 3: is not UTF-8; correct this line or remove it"


def test_a_long_row_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    many = "," * 1_200_000  # the limit counts each as a value
    path.write_text(f'prompt,own\na,1\n"{many}",2\n')
    rows = table_rows(config(path, manifest={"max_row_mb": 50}))
    with pytest.raises(UsoError, match=r"line 3: takes more than manifest\.max_row_mb, 50 MB"):
        list(rows.batches)


def test_decimal_commas_are_points_where_numbers_are_expected(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('prompt;guidance;score\n1,5;3,5;1,5\n"a;b";;2\nc;3,5,5;\n')
    first, second, third = made(path)
    assert (first["prompt"], first["guidance"], first["score"]) == ("1,5", "3.5", 1.5)
    assert (second["prompt"], second["guidance"], second["score"]) == ("a;b", None, 2.0)
    assert third["guidance"] == "3,5,5"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_usual_files_are_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delimiter: str
) -> None:
    path = tmp_path / "m.csv"
    lines = ("prompt,id", '"a, b",1', '"c\nd",2')
    text = "\n".join(line.replace(",", delimiter) for line in lines)
    path.write_text(text.replace(f"a{delimiter} b", "a, b"), encoding="utf-8")
    monkeypatch.setattr("pipelines.manifest.csv_columns._by_csv", lambda *_: pytest.fail("by csv"))
    monkeypatch.setattr(
        "pipelines.manifest.text_table.chunks", lambda *_: pytest.fail("read again")
    )
    assert made(path) == [{"id": "1", "prompt": "a, b"}, {"id": "2", "prompt": "c\nd"}]


def test_a_path_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = tmp_path / "m.csv"
    path.write_text("id,content_image\na,~/b.png\n", encoding="utf-8")
    assert made(path)[0]["content_image"] == "/home/somebody/b.png"
