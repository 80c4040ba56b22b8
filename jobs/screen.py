"""What the terminal gets to see: consoles, and text that cannot do anything to a terminal.

Prompts, ids, URIs and messages come from manifests and servers. A control character among them
could move the cursor, hide a line or set the window's title, so none is ever printed as it is.
"""

from __future__ import annotations

import os
import re
import sys

from rich.console import Console

_WIDTH_OF_FILES = 120  # columns of a table that goes to a file or a pipe

# C0 and C1 controls, lone surrogates, and the marks that reorder or break lines of text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def one_line(text: str, most: int | None = None) -> str:
    """`text` with every control character written out, cut to `most` characters."""
    safe = _UNSAFE.sub(_written_out, text)
    if most is not None and len(safe) > most:
        return safe[: most - 1] + "…"
    return safe


def lines(text: str) -> str:
    """Like `one_line`, for a text whose line breaks are meant."""
    return "\n".join(one_line(line) for line in text.replace("\t", "    ").split("\n"))


def fact(console: Console, label: str, text: str) -> None:
    """Print one line: a label in a column of its own, and what there is to say."""
    console.print(f"{label:<11}{one_line(text)}", soft_wrap=True)


def out() -> Console:
    """The console for results, on stdout: nothing in a text is taken for markup."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    return console


def err() -> Console:
    """The console for progress and errors, on stderr."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def tolerate_narrow_encodings() -> None:
    """Let a stream that cannot encode a character write it out instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _written_out(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
