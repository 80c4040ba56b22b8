"""The commands of docs/quickstart.md print what the page shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console import consoles, missing

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/quickstart.md"


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
    commands = consoles(PAGE)[1]
    assert [command.split()[0] for command, _ in commands] == ["uso", "ls", "uso", "uso"]
    for command, lines in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        assert missing(lines, ran.stdout) == [], (command, ran.stdout)
