"""Pages that show a console: commands after `$ `, each with the lines that it prints."""

from __future__ import annotations

import re
from pathlib import Path

Shown = list[tuple[str, list[str]]]
"""Commands, each with its lines."""


def consoles(page: Path) -> list[Shown]:
    """Return the consoles of a page, in order."""
    blocks = re.findall(
        r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [_commands(block) for block in blocks]


def missing(lines: list[str], printed: str) -> list[str]:
    """Return the lines that were not printed, in this order; `…` stands for any text."""
    rest = printed.splitlines()
    absent = []
    for line in lines:
        pattern = re.compile(re.escape(line.rstrip()).replace("…", ".*"))
        at = next((n for n, each in enumerate(rest) if pattern.fullmatch(each.rstrip())), None)
        if at is None:
            absent.append(line)
        else:
            rest = rest[at + 1 :]
    return absent


def _commands(block: str) -> Shown:
    commands: Shown = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands
