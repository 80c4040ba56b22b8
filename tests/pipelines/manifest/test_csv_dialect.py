"""Delimiters of CSV files are recognized, and files with commas stay what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.manifest.csv_dialect import Dialect, dialect_of
from tests.pipelines.manifests import entries, opened, rejected, valid


@pytest.mark.parametrize(
    ("line", "dialect"),
    [
        ("id,prompt\n", Dialect(",")),
        ("id;prompt\r\n", Dialect(";")),
        ("id\tprompt\n", Dialect("\t")),
        ("id|prompt", Dialect("|")),
        ("prompt\n", Dialect(",")),
        ("", Dialect(",")),
        ('"a;b;c",prompt\n', Dialect(",")),
        ('"a,b,c";prompt\n', Dialect(";")),
        ("id,prompt;x\n", Dialect(",")),
        ("id;size, in px;prompt\n", Dialect(";")),
        ("caption (en, de, fr);seed\n", Dialect(";")),
        ("id;caption, all, of, it\n", Dialect(";")),
        ('"id"\tcaption (en, de)\n', Dialect("\t")),
        ("caption; long,id\n", Dialect(",")),
        ("a, b;c\n", Dialect(",")),
        ('"begins;here\n', Dialect(",")),
        ("sep=;\n", Dialect(";", 1)),
        ('"sep=\t"\r\n', Dialect("\t", 1)),
        ("SEP=|\n", Dialect("|", 1)),
        ("sep=,\r\n", Dialect(",", 1)),
        ("separator;prompt\n", Dialect(";")),
    ],
)
def test_the_first_line_tells_the_delimiter(line: str, dialect: Dialect) -> None:
    assert dialect_of(line, is_tabs=False) == dialect


def test_the_name_tells_tabs() -> None:
    assert dialect_of("a,b;c\n", is_tabs=True) == Dialect("\t")
    assert dialect_of("sep=;\n", is_tabs=True) == Dialect(";", 1)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("name", "first", "delimiter"),
    [
        ("m.csv", "", ","),
        ("m.csv", "", ";"),
        ("m.csv", "", "\t"),
        ("m.csv", "", "|"),
        ("m.csv", "sep=;", ";"),
        ("m.tsv", "", "\t"),
        ("m.TAB", "", "\t"),
    ],
)
def test_the_same_rows_in_every_dialect(
    tmp_path: Path, name: str, first: str, delimiter: str, end: str, mark: bytes
) -> None:
    rows = (
        ("id", "prompt", "style_images", "own"),
        ("007", '"a ""red""\ncat, or;dog\t|"', '"[""/a.png"", ""/b.png""]"', "5"),
        ("8", "plain", "/s.png", ""),
    )
    lines = [first] if first else []
    text = end.join([*lines, *map(delimiter.join, rows), ""])
    (tmp_path / name).write_bytes(mark + text.encode())
    one, two = entries(tmp_path / name)
    assert (valid(one).id, valid(one).prompt) == ("007", 'a "red"\ncat, or;dog\t|')
    assert valid(one).style_images == ("/a.png", "/b.png")
    assert [one.extra, two.extra] == [{"own": 5}, {"own": None}]
    assert (valid(two).id, valid(two).style_images) == ("8", ("/s.png",))


def test_line_numbers_count_the_skipped_line(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("sep=;\nid;prompt\n1;a\n2\n", encoding="utf-8")
    _, second = entries(tmp_path / "m.csv")
    assert "line 4: has 1 cells, but the header has 2" in rejected(second).failure.message


def test_a_file_with_one_column(tmp_path: Path) -> None:
    text = 'prompt\na cat; or | a dog\n"a, b"\n\n""\na, b\n'
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    found = entries(tmp_path / "m.csv")
    assert [valid(entry).prompt for entry in found[:3]] == ["a cat; or | a dog", "a, b", ""]
    assert "has 2 cells, but the header has 1" in rejected(found[3]).failure.message


def test_a_folder_of_tab_files_is_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("prompt\tn\na\t1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("prompt;n\nb;2\n", encoding="utf-8")
    assert [entry.extra["n"] for entry in opened(tmp_path).entries()] == [1, 2]
