"""Memory of this process, as Linux reports it."""

from __future__ import annotations

from pathlib import Path


def memory_mb(name: str) -> float:
    """Return one of the process's memory figures, in MB.

    Args:
        name: `VmHWM` (peak resident memory), `VmRSS`, `RssAnon` (memory that the system could only
            swap out), `RssFile` (memory that it can drop and read again).
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6
