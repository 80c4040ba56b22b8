from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console
from rich.progress import TimeElapsedColumn

from jobs import terminal
from tests.clock import Clock


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
def test_one_line_escapes_control_characters(text: str, expected: str) -> None:
    assert terminal.one_line(text) == expected


def test_one_line_is_cut_to_its_length() -> None:
    assert terminal.one_line("abcdefgh", most=5) == "abcd…"
    assert terminal.one_line("abcde", most=5) == "abcde"


def test_lines_keep_their_breaks_only() -> None:
    assert terminal.lines("first\n\tsecond\x07") == "first\n    second\\x07"


def test_durations() -> None:
    assert [terminal.duration(s) for s in (0.4, 59.6, 3600, 90061)] == [
        "0:00:00",
        "0:01:00",
        "1:00:00",
        "1 day, 1:01:01",
    ]


def test_markup_in_a_text_is_not_interpreted(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out().print("[bold]x[/bold] [link=http://a]y[/link] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] [link=http://a]y[/link] :smile:\n"


def test_narrow_encodings_do_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    terminal.tolerate_narrow_encodings()
    stream.write("12 · 13")
    stream.flush()
    assert raw.getvalue() == rb"12 \xb7 13"


def test_bars_write_nothing_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    with terminal.progress_bars(TimeElapsedColumn()) as progress:
        task = progress.add_task("rows", total=2)
        progress.advance(task)
        assert threading.active_count() == threads  # nothing draws
        assert progress.tasks[0].completed == 1
    assert capsys.readouterr() == ("", "")


def test_the_first_line_is_due_at_once_and_the_next_after_the_interval() -> None:
    clock = Clock()
    pace = terminal.Pace(5, clock)
    due = []
    for second in range(12):
        clock.now = 100.0 + second
        if pace.due():
            due.append(second)
    assert due == [0, 5, 10]


def test_a_forced_line_restarts_the_interval() -> None:
    clock = Clock()
    pace = terminal.Pace(5, clock)
    clock.now = 0.0
    assert pace.due()
    clock.now = 4.0
    assert pace.due(anyway=True)
    clock.now = 8.0
    assert not pace.due()
    clock.now = 9.0
    assert pace.due()


def test_codes_of_foreign_records_are_escaped() -> None:
    failure = terminal.FailureRow("\x1b[2Jcode", 1, "\x1b[2Jid", "\x1b]0;title\x07")
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    console.print(terminal.failure_table([failure]))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert r"\x1b[2Jcode" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
