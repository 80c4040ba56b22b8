"""Exit codes, and errors that end a command with one message and no traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from jobs import terminal
from uso_core.errors import UsoError

DONE = 0
RUN_FAILED = 1
WRONG_INPUT = 2
OVER_BUDGET = 3
DIFFERS = 4
"""An output is not as its records say."""
INTERRUPTED = 130

_MOST_LINES = 20


def print_error(message: str) -> None:
    """Print an error message on stderr, cut to 20 lines."""
    all_lines = terminal.lines(message.strip()).split("\n")
    shown = all_lines[:_MOST_LINES]
    if len(all_lines) > len(shown):
        shown.append(f"… and {len(all_lines) - len(shown)} more lines")
    console = terminal.err()
    console.print("error: ", style="bold red", end="")
    console.print("\n".join(shown), soft_wrap=True)


@contextmanager
def exit_on_error(
    *kinds: type[Exception], code: int | None = None, show: Callable[[str], None] = print_error
) -> Iterator[None]:
    """End the command with the message and the exit code of an error.

    Any other exception is a bug: it propagates, and Python prints its traceback.

    Args:
        kinds: the errors that end the command; without any, every `UsoError` does.
        code: the exit code; None: the error's own, or 2 for an error that is not a `UsoError`.
        show: a function that prints the message.
    """
    caught = kinds or (UsoError,)
    try:
        yield
    except caught as error:
        own = error.exit_code if isinstance(error, UsoError) else WRONG_INPUT
        show(str(error))
        raise typer.Exit(own if code is None else code) from error
