"""`uso run` as processes, and the actors that work for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
_ACTOR = "ray::_Actor"  # as Ray names the process
_WORKING = f"{_ACTOR}.stylize"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """One driver process; its output is in `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls,
        arguments: Iterable[str],
        env: Mapping[str, str],
        log: Path,
        module: str = "jobs.cli",
        command: str = "run",
    ) -> Run:
        """Start `uso run`, or another command, in a process group of its own.

        Args:
            arguments: arguments of the command.
            env: environment variables to add.
            log: receives its output.
            module: the module that runs the command line.
            command: the command.
        """
        words = [sys.executable, "-m", module, command, *arguments]
        with log.open("wb") as out:
            process = subprocess.Popen(
                words,
                cwd=ROOT,
                env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Pid of the driver."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """True while the driver runs."""
        return self.process.poll() is None

    @property
    def printed(self) -> str:
        """The output so far."""
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send the driver a signal if it still runs."""
        self.process.send_signal(number)

    def ends_within(self, seconds: float) -> bool:
        """Wait up to `seconds` for the driver to end; return True if it has."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.alive


def descendants(pids: Iterable[int]) -> set[psutil.Process]:
    """Return all processes that these processes have started, directly or not."""
    found: set[psutil.Process] = set()
    for pid in pids:
        with suppress(psutil.Error):
            found.update(psutil.Process(pid).children(recursive=True))
    return found


def actors_among(processes: Iterable[psutil.Process], *, busy: bool = True) -> list[psutil.Process]:
    """Return the processes that hold an actor, or if `busy` a working one, sorted by pid."""
    start = _WORKING if busy else _ACTOR
    return sorted((p for p in processes if _title(p).startswith(start)), key=lambda p: p.pid)


def owner_of(client_port: int, processes: Iterable[psutil.Process]) -> psutil.Process | None:
    """Return the process that holds the client's end of a connection."""
    for process in processes:
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp4"):
                if connection.laddr and connection.laddr.port == client_port:
                    return process
    return None


def end(processes: Iterable[psutil.Process], within_s: float = 10) -> None:
    """Kill the processes that still run; psutil never kills another process with a reused pid."""
    left = list(processes)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=within_s)


def wait_until_gone(processes: Iterable[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Wait up to `within_s` for these processes to end; return those still running."""
    give_up_at = time.monotonic() + within_s
    left = list(processes)
    while left and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        left = [process for process in left if process.is_running()]
    return left


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        command = process.cmdline()
        return command[0] if command else ""
    return ""
