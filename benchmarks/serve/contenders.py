"""Contenders as processes: start, CPU, memory, end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

_RAYS_OWN = ("raylet", "gcs_server", "log_monitor", "dashboard", "agent", "monitor.py")
_START_S, _END_S = 60, 20


@dataclass(frozen=True)
class Contender:
    """A server that runs.

    Attributes:
        folder: its files; `model` there has a file for each process that holds a model, named by
            the number of the process.
        key: its API key, if it has one.
    """

    name: str
    folder: Path
    process: subprocess.Popen[str]
    url: str
    key: str | None

    @property
    def model_pids(self) -> set[int]:
        """Processes that hold a model."""
        return {int(path.name) for path in (self.folder / "model").iterdir()}

    def cpu(self) -> Cpu:
        """Return the CPU seconds of all its processes but those with a model."""
        skipped = self.model_pids
        server = rays = 0.0
        root = psutil.Process(self.process.pid)
        for process in [root, *root.children(recursive=True)]:
            if process.pid in skipped:
                continue
            try:
                times, command = process.cpu_times(), " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if process is not root and any(name in command for name in _RAYS_OWN):
                rays += times.user + times.system
            else:
                server += times.user + times.system
        return Cpu(server, rays)


@dataclass(frozen=True)
class Cpu:
    """CPU seconds.

    Attributes:
        server_s: the server with its idle workers.
        rays_s: processes of Ray below it.
    """

    server_s: float
    rays_s: float

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.server_s - earlier.server_s, self.rays_s - earlier.rays_s)


def bound_socket() -> tuple[socket.socket, str]:
    """Return a socket that listens on a free port of this machine, and its URL."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener = socket.socket(fileno=listener.detach())  # it names TCP: see jobs/serve/server.py
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def ours(folder: Path, *, actors: int, work_s: float) -> Iterator[Contender]:
    """Run this project's server."""
    options = ["--actors", str(actors), "--work", str(work_s)]
    command = [sys.executable, "-m", "benchmarks.serve.ours", str(folder), *options]
    with _running("uso serve", folder, command) as contender:
        give_up_at = time.monotonic() + _START_S
        while httpx2.get(f"{contender.url}/readyz").status_code != 200:
            if time.monotonic() > give_up_at:
                raise SystemExit(f"no actor is ready:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield contender


@contextmanager
def bare(folder: Path) -> Iterator[Contender]:
    """Run a bare FastAPI app with one actor."""
    command = [sys.executable, "-m", "benchmarks.serve.bare", str(folder)]
    with _running("FastAPI and an actor", folder, command) as contender:
        yield contender


@contextmanager
def ray_serve(folder: Path, python: str) -> Iterator[Contender]:
    """Run the same on Ray Serve, with the Python of another environment."""
    command = [python, str(Path(__file__).with_name("ray_serve.py")), str(folder)]
    with _running("Ray Serve", folder, command) as contender:
        yield contender


@contextmanager
def _running(name: str, folder: Path, command: Sequence[str]) -> Iterator[Contender]:
    (folder / "model").mkdir(parents=True)
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    try:
        assert process.stdout is not None
        started = process.stdout.readline()
        if not started:
            raise SystemExit(f"{name} did not start:\n{(folder / 'log').read_text()}")
        facts = json.loads(started)
        yield Contender(name, folder, process, facts["url"], facts.get("key"))
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    children = (
        psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    )
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        if child.is_running():
            child.kill()
