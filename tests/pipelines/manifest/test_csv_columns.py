"""Columns by Arrow's parser are those by `csv`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.manifest import csv_columns
from pipelines.manifest.csv_columns import columns_of

DELIMITERS = ",;\t|"
MARKS = (
    '"',
    '""',
    ",",
    ";",
    "\t",
    "|",
    "\n",
    "\r\n",
    "\r",
    "a",
    " ",
    "ü",
    "\ufeff",
    "\0",
    "\\",
    "'",
)
TEXT = st.lists(st.sampled_from((*MARKS, "NA", "null", "\x0b", "\x85", "\u2028")), max_size=4)
TEXTS = TEXT.map("".join)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def bare(text: str) -> str:
    return "".join(letter for letter in text if letter not in '"\r\n,;\t|')


CELLS = st.one_of(TEXTS.map(quoted), TEXTS.map(quoted), TEXTS.map(bare), TEXTS)
LINES = st.lists(
    st.tuples(
        st.one_of(*[st.lists(CELLS, min_size=2, max_size=2)] * 4, st.lists(CELLS, max_size=3)),
        st.sampled_from(("\n", "\n", "\r\n", "\r", "\n\n", "")),
    ),
    max_size=5,
)


@settings(max_examples=200, deadline=None)
@given(LINES, st.sampled_from(DELIMITERS))
def test_odd_lines_and_usual_ones(lines: list[tuple[list[str], str]], delimiter: str) -> None:
    text = "".join(delimiter.join(cells) + end for cells, end in lines)
    names = ["same", "same"]
    found = columns_of(text, names, delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_columns, "_suits_arrow", lambda *_: False)
        by_csv = columns_of(text, names, delimiter)
    assert (found is None) == (by_csv is None)
    if found is not None and by_csv is not None:
        assert found.equals(by_csv)


def test_arrow_reads_usual_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_columns, "_by_csv", lambda *_: pytest.fail("read by csv"))
    text = 'a,"b, ""c"""\r\n"d\ne",\r\n\r\n"",ü\r\n'
    found = columns_of(text, ["x", "y"], ",")
    assert found is not None
    assert found.to_pydict() == {"x": ["a", "d\ne", None], "y": ['b, "c"', None, "ü"]}
    assert found.schema == pa.schema([("x", pa.string()), ("y", pa.string())])


@pytest.mark.parametrize("text", ['a,"b\n', 'a,"b"c\n', "a,b,c\n", "a\n", "a,\udcff\n"])
def test_odd_lines_have_no_columns(text: str) -> None:
    assert columns_of(text, ["x", "y"], ",") is None


def test_a_delimiter_that_arrow_does_not_have() -> None:
    found = columns_of("a§b\n", ["x", "y"], "§")
    assert found is not None
    assert found.to_pydict() == {"x": ["a"], "y": ["b"]}
