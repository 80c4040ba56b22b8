"""The commands of docs/quickstart.md print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")


def shown() -> list[tuple[str, list[str]]]:
    """Return the commands of the page's console, each with the lines that it prints."""
    (console,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    commands: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


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


@pytest.mark.timeout(240)  # three commands, each a process that loads its libraries
def test_the_page_shows_what_the_commands_print(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HOME": str(tmp_path / "hf"),
        "USO_CALIBRATION_FILE": "",
        "COLUMNS": "120",
    }
    commands = shown()
    assert [command.split()[0] for command, _ in commands] == ["uso", "ls", "uso", "uso"]
    for command, lines in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        assert missing(lines, ran.stdout) == [], (command, ran.stdout)
