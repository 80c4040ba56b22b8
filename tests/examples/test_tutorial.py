"""The tutorial's page and the script that runs it contain the same commands."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
SCRIPT = ROOT / "examples" / "stylize_folder.sh"
CHECKS = ("check_", "wait_", "# ")


def commands_of_the_page() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def commands_of_the_script() -> list[str]:
    text = SCRIPT.read_text(encoding="utf-8").partition("# --- The tutorial ---\n")[2]
    return [line for line in text.splitlines() if line and not line.startswith(CHECKS)]


def test_the_script_runs_the_commands_of_the_page_in_their_order() -> None:
    assert len(commands_of_the_page()) > 50
    assert commands_of_the_script() == commands_of_the_page()


def test_the_steps_have_the_same_names() -> None:
    page = re.findall(r"^## (\d+\. .+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    script = re.findall(r"^# (\d+\. .+)$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    assert script == page


def test_the_script_can_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
