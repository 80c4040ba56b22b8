"""Two trees of the repository, and commands that run in one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[2]
"""This tree."""

_KEPT = 2000  # characters


@dataclass(frozen=True)
class Cost:
    """The cost of one command.

    Attributes:
        cpu_s: CPU seconds, with its children.
        wall_s: wall seconds.
        peak_mb: peak memory.
        written: bytes of the files that it made.
        printed: its output, errors included.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    written: int = 0
    printed: str = ""


def run_in(tree: Path, arguments: Sequence[str]) -> Cost:
    """Run Python in a tree.

    The peak memory of a child is at least that of its parent at the start, so this process must
    stay small: it imports no Arrow.

    Raises:
        RuntimeError: the command failed; the message has its output.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PYTHONPATH": str(tree),
        "RAY_USAGE_STATS_ENABLED": "0",
        "COLUMNS": "100",
    }
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=tree, env=environment, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        printed = said.read().decode(errors="replace")[-_KEPT:]
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed in {tree}:\n{printed}")
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1e3, printed=printed)


def unpack(revision: str, folder: Path) -> Path:
    """Unpack a revision of this repository, and return its folder.

    Raises:
        LookupError: the revision is not in this clone.
    """
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", revision], cwd=HERE, capture_output=True, check=False
    )
    if archive.returncode:
        raise LookupError(f"{revision} is not in this clone; fetch its whole history")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder
