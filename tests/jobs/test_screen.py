from __future__ import annotations

import io

import pytest

from jobs import screen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, accents é, 日本語, 🎨", "plain, accents é, 日本語, 🎨"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud83d", r"\ud83d"),
    ],
)
def test_one_line_writes_control_characters_out(text: str, expected: str) -> None:
    assert screen.one_line(text) == expected


def test_one_line_is_cut_to_its_length() -> None:
    assert screen.one_line("abcdefgh", most=5) == "abcd…"
    assert screen.one_line("abcde", most=5) == "abcde"


def test_lines_keep_their_breaks_and_nothing_else() -> None:
    assert screen.lines("first\n\tsecond\x07") == "first\n    second\\x07"


def test_markup_in_a_text_is_not_interpreted(capsys: pytest.CaptureFixture[str]) -> None:
    screen.out().print("[bold]x[/bold] [link=http://a]y[/link] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] [link=http://a]y[/link] :smile:\n"


def test_narrow_encodings_do_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    screen.tolerate_narrow_encodings()
    stream.write("12 · 13")
    stream.flush()
    assert raw.getvalue() == rb"12 \xb7 13"
