"""Measures the peak memory of calls, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_MAIN = "import sys; from tests.peak_memory import run_all; run_all(sys.argv[1], sys.argv[2:])"


def peaks(module: str, names: list[str], timeout_s: float = 50) -> dict[str, float]:
    """Return the MB that each function of a module adds to the memory of a fresh process.

    Args:
        module: the module, importable by name.
        names: functions of it without arguments; an error in one ends the measurement.
        timeout_s: seconds for all of them.
    """
    command = [sys.executable, "-c", _MAIN, module, *names]
    root = Path(__file__).parents[1]
    ran = subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = [line.split() for line in ran.stdout.splitlines()]
    return {name: float(peak) for name, peak in found}


def run_all(module: str, names: list[str]) -> None:
    """Print the peak of each function."""
    functions = vars(__import__(module, fromlist=names))
    for name in names:
        _forked(name, functions[name])


def _forked(name: str, call: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            # Reset, because a child starts with the peak of its parent.
            Path("/proc/self/clear_refs").write_text("5")
            before = _peak_mb()
            call()
            sys.stdout.write(f"{name} {_peak_mb() - before}\n")
        except BaseException as error:  # noqa: BLE001 (shown by the parent)
            sys.stderr.write(f"{name}: {error!r}\n")
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(1)


def _peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000
