"""What memory this process takes, as Linux counts it."""

from __future__ import annotations

from pathlib import Path


def memory_mb(name: str) -> float:
    """One of the process's numbers, in MB.

    Args:
        name: `VmHWM` (the most that was ever resident), `VmRSS`, `RssAnon` (what the system could
            only swap out), `RssFile` (what it can drop and read again).
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6
