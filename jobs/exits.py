"""Exit codes, and how a user's mistake ends a command: on one screen, without a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from jobs import screen

DONE = 0
RUN_FAILED = 1
WRONG_INPUT = 2
OVER_BUDGET = 3
INTERRUPTED = 130

_MOST_LINES = 20


def say_error(message: str) -> None:
    """Print what is wrong, on stderr; a long list is cut to one screen."""
    all_lines = screen.lines(message.strip()).split("\n")
    shown = all_lines[:_MOST_LINES]
    if len(all_lines) > len(shown):
        shown.append(f"… and {len(all_lines) - len(shown)} more lines")
    console = screen.err()
    console.print("error: ", style="bold red", end="")
    console.print("\n".join(shown), soft_wrap=True)


@contextmanager
def exit_on(
    *errors: type[Exception], code: int, say: Callable[[str], None] = say_error
) -> Iterator[None]:
    """End the command with `code` and the error's own words where one of `errors` is raised.

    Any other exception is a bug: it goes on, and shows its traceback.
    """
    try:
        yield
    except errors as error:
        say(str(error))
        raise typer.Exit(code) from error
