"""Problems that a command has found, by kind, as a table or as JSON values."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import terminal
from pipelines.tools.problems import Findings


def problems_as_list(found: Findings) -> list[dict[str, Any]]:
    """Return the kinds of problems as JSON values."""
    return [
        {
            "severity": severity,
            "kind": name,
            "column": column,
            "found": kind.problems,
            "rows": kind.rows,
            "examples": list(kind.examples),
            "message": kind.message,
        }
        for (severity, name, column), kind in found.kinds.items()
    ]


def print_problems(found: Findings, file: str | None, console: Console) -> None:
    """Print the kinds of problems, the file that holds them all, and their number."""
    if found.kinds:
        console.print(_table(found))
    if file is not None:
        console.print(f"written to  {terminal.one_line(file)}", soft_wrap=True)
    count = "1 problem" if found.errors == 1 else f"{found.errors:,} problems"
    console.print(count if found.errors else "Nothing is wrong.")


def _table(found: Findings) -> Table:
    table = Table(title="Problems", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("kind", no_wrap=True)
    table.add_column("column", no_wrap=True)
    table.add_column("found", justify="right")
    table.add_column("rows", justify="right")
    table.add_column("for example", overflow="fold")
    kinds = sorted(found.kinds.items(), key=lambda item: (item[0][0], -item[1].problems))
    for (severity, name, column), kind in kinds:
        ids = ", ".join(terminal.one_line(row_id, 40) for row_id in kind.examples)
        shown = f"{name} (note)" if severity == "note" else name
        example = f"{ids}: {terminal.one_line(kind.message, 300)}"
        cells = (shown, terminal.one_line(column or "", 40), f"{kind.problems:,}", f"{kind.rows:,}")
        table.add_row(*(Text(cell) for cell in (*cells, example)))
    return table
