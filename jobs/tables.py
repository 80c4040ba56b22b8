"""Tables that more than one command prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from jobs import screen


@dataclass(frozen=True, slots=True)
class FailureRow:
    """How often rows failed with a code, and one of them."""

    code: str
    count: int
    row_id: str
    message: str


def failure_table(failures: Iterable[FailureRow]) -> Table:
    """Failures by code, with one row and its message for each."""
    table = Table(title="Failures", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("code", no_wrap=True)
    table.add_column("rows", justify="right")
    table.add_column("for example", overflow="fold")
    for failure in failures:
        example = f"{screen.one_line(failure.row_id, 60)}: {screen.one_line(failure.message, 300)}"
        table.add_row(Text(failure.code), f"{failure.count:,}", Text(example))
    return table
