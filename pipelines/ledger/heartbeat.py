"""The content of the lease: the driver that holds it, and a count that rises while it is alive."""

from __future__ import annotations

import json
import logging
import socket
from dataclasses import dataclass, fields, replace
from pathlib import Path

import psutil

from pipelines.errors import StorageError
from pipelines.storage.storage import Storage

logger = logging.getLogger(__name__)

LEASE_PATH = "run/lease.json"
AT = "at"  # key of a heartbeat's time
_SAME_START_S = 10  # tolerance: start times use the wall clock, which may have been adjusted
_FIRST_AFTER_NAME, _START_FIELD = 3, 22  # fields of /proc/PID/stat, see proc_pid_stat(5)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The content of the lease, written by its holder.

    Attributes:
        run_id: id of the driver's run.
        host: host name of the driver.
        machine: identifies the set of processes that `pid` belongs to; containers on one host
            differ in it.
        pid: process id of the driver.
        started: start time of that process, in seconds since the epoch. It moves if the clock is
            set.
        beat: increases while the driver is alive.
        ticks: start time of that process, in clock ticks since the machine was booted, because pids
            are reused; None: not known, or written by an older version.
    """

    run_id: str
    host: str
    machine: str
    pid: int
    started: float
    beat: int = 0
    ticks: int | None = None

    @classmethod
    def of_this_process(cls, run_id: str) -> Heartbeat:
        """Return the first heartbeat of a driver in this process."""
        process = psutil.Process()
        pid, started = process.pid, process.create_time()
        return cls(run_id, socket.gethostname(), _machine(), pid, started, 0, start_ticks(pid))

    @property
    def driver(self) -> Heartbeat:
        """Identity of the driver: the heartbeat without its count."""
        return replace(self, beat=0)

    @property
    def description(self) -> str:
        """Description of the driver for messages."""
        return f"run {self.run_id}, process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """True if the driver runs, or ran, on this machine, where its process can be looked up."""
        return self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """True if the driver ran on this machine and its process has ended."""
        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            return self._is_another(process) or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _is_another(self, process: psutil.Process) -> bool:
        """Return True if the process with this pid is not the driver."""
        ticks = start_ticks(self.pid)
        if ticks is not None and self.ticks is not None:
            return ticks != self.ticks
        return abs(process.create_time() - self.started) > _SAME_START_S


def start_ticks(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot; None if there is no /proc.

    Unlike `psutil`'s start time, it stays the same if the machine's clock is set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field, the name in parentheses, may itself hold spaces and parentheses.
    fields_after_name = stat.rpartition(")")[2].split()
    return int(fields_after_name[_START_FIELD - _FIRST_AFTER_NAME])


def read_holder(storage: Storage) -> Heartbeat | None:
    """Read the last heartbeat of the driver that holds an output's lease; None if it is free.

    Raises:
        StorageError: the lease cannot be read.
    """
    try:
        content = storage.read(LEASE_PATH)
    except StorageError as fault:
        if fault.fault == "not_found":
            return None
        raise
    try:
        found = {"ticks": None, **json.loads(content)}  # older versions know no ticks
        return Heartbeat(**{f.name: found[f.name] for f in fields(Heartbeat)})
    except (ValueError, TypeError, KeyError):
        logger.warning("lease_unreadable uri=%s", storage.uri(LEASE_PATH))
        return None


def _machine() -> str:
    """Return a name for the set of processes in which a pid is unique."""
    boot_id = Path("/proc/sys/kernel/random/boot_id")
    if not boot_id.exists():
        return socket.gethostname()
    # A container has its own pids, possibly under its host's name.
    return f"{boot_id.read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
