"""CPU seconds of a process and of all below it."""

from __future__ import annotations

from collections import defaultdict

import psutil

_ACTOR = "ray::"


class ProcessCpu:
    """CPU seconds of a process and of all below it, also after their end.

    Ray's processes are not waited for, so the system does not add their times to the command's.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[psutil.Process, tuple[str, float]] = {}

    def look(self) -> None:
        """Read the times of the processes that there are."""
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                times, name = process.cpu_times(), _kind(process, self._root)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            self._seconds[process] = (name, times.user + times.system)

    @property
    def by_kind(self) -> dict[str, float]:
        """CPU seconds by kind of process."""
        found: defaultdict[str, float] = defaultdict(float)
        for name, seconds in self._seconds.values():
            found[name] += seconds
        return {name: round(seconds, 2) for name, seconds in sorted(found.items())}


def _kind(process: psutil.Process, root: psutil.Process) -> str:
    if process == root:
        return "driver"
    title = " ".join(process.cmdline())
    is_actor = title.startswith(_ACTOR) and "Agent" not in title
    return "actors" if is_actor else "ray"
