"""Output to a terminal: consoles, text that is safe to print, and shared forms of text and tables.

Prompts, ids, URIs and messages come from manifests and servers. A control character in them could
move the cursor, hide a line or set the window's title, so every one is escaped before it is
printed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

_WIDTH_OF_FILES = 120  # columns of a table in a file or a pipe

# C0 and C1 controls, lone surrogates, and the marks that reorder or break lines of text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def one_line(text: str, most: int | None = None) -> str:
    """Return `text` with its control characters escaped, cut to `most` characters."""
    safe = _UNSAFE.sub(_escaped, text)
    if most is not None and len(safe) > most:
        return safe[: most - 1] + "…"
    return safe


def lines(text: str) -> str:
    """Return `text` with all control characters except line breaks escaped."""
    return "\n".join(one_line(line) for line in text.replace("\t", "    ").split("\n"))


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss, with the days before it from one day on."""
    return str(timedelta(seconds=round(seconds)))


def score_means(means: Mapping[str, float | None]) -> str:
    """Return the means of scores on one line, four digits each; `none` for a score of no image."""
    shown = (f"{name} {'none' if mean is None else f'{mean:.4g}'}" for name, mean in means.items())
    return one_line(", ".join(shown))


def out() -> Console:
    """Return the console for results, on stdout, which interprets no markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    return console


def err() -> Console:
    """Return the console for progress and errors, on stderr."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def tolerate_narrow_encodings() -> None:
    """Let stdout and stderr escape the characters that they cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def fact(console: Console, label: str, text: str) -> None:
    """Print a label, in a column of its own, and a text on one line."""
    console.print(f"{label:<11}{one_line(text)}", soft_wrap=True)


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a JSON document on stdout, in ASCII."""
    # Not with a console, which would wrap lines.
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def failure_table(failures: Iterable[FailureRow]) -> Table:
    """Return a table of failures by code, with one row and its message as an example of each."""
    table = Table(title="Failures", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("code", no_wrap=True)
    table.add_column("rows", justify="right")
    table.add_column("for example", overflow="fold")
    for failure in failures:
        example = f"{one_line(failure.row_id, 60)}: {one_line(failure.message, 300)}"
        table.add_row(Text(one_line(failure.code, 60)), f"{failure.count:,}", Text(example))
    return table


def progress_bars(time_column: ProgressColumn) -> Progress:
    """Return a display of bars on stderr that disappears at its end; a file gets nothing.

    Args:
        time_column: the last column, an elapsed or a remaining time.
    """
    text, bar = TextColumn("{task.description}"), BarColumn()
    console = err()
    return Progress(
        *(text, bar, MofNCompleteColumn(), time_column),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # it would draw ten times a second, and show nothing
    )


@dataclass(frozen=True, slots=True)
class FailureRow:
    """The number of rows that failed with one code, and one of them as an example."""

    code: str
    count: int
    row_id: str
    message: str


class Pace:
    """Limits how often a long command prints a line.

    Args:
        every_s: seconds between two lines; the first is due at once.
        clock: returns the time in seconds.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._printed_at = float("-inf")

    def due(self, *, anyway: bool = False) -> bool:
        """Return True if a line is due or forced by `anyway`, and restart the wait then."""
        now = self._clock()
        if not anyway and now - self._printed_at < self._every_s:
            return False
        self._printed_at = now
        return True


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
