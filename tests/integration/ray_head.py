"""A Ray head with a job server, started as a user would, on its own ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

_START_S = 120
_ACTIVATED = {  # jobs use the `python` of the shell that started the head
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_CPUS = 4


@dataclass(frozen=True, slots=True)
class RayHead:
    """A running head.

    Attributes:
        port: port of its job server, on 127.0.0.1.
        env: environment variables that a client needs for access.
        folder: holds all files that Ray writes.
    """

    port: int
    env: dict[str, str]
    folder: Path

    @property
    def address(self) -> str:
        """URL of the job server."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def ray_head(folder: Path, token: str) -> Iterator[RayHead]:
    """Run a head inside the block; an empty `token` lets everyone in.

    Args:
        folder: must have a short path, because unix sockets are created below it.
        token: the token that clients need.
    """
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {}
    port, *others = _free_ports(4)
    with subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *_arguments(folder, port, others)],
        env={**os.environ, **_ACTIVATED, "RAY_AUTH_MODE": "disabled", **auth},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            head = RayHead(port, auth, folder)
            _wait_until_up(process, head)
            yield head
        finally:
            _end(process)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        return [
            held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(count)
        ]


def _arguments(folder: Path, port: int, others: list[int]) -> list[str]:
    gcs_port, agent_port, client_port = others
    return [
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={gcs_port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={port}",
        f"--dashboard-agent-listen-port={agent_port}",
        f"--ray-client-server-port={client_port}",
        f"--num-cpus={_CPUS}",
        f"--object-store-memory={100 * 10**6}",
        f"--temp-dir={folder}",
    ]


def _wait_until_up(process: subprocess.Popen[bytes], head: RayHead) -> None:
    token = head.env.get("RAY_AUTH_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    ends_at = time.monotonic() + _START_S
    while time.monotonic() < ends_at:
        assert process.poll() is None, "ray start has ended"
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{head.address}/api/jobs/", headers=headers).status_code == 200:
                return
        time.sleep(0.3)
    raise AssertionError(f"no job server at {head.address} after {_START_S} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, which Ray passes on to its processes; kill the remaining ones."""
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
    _, alive = psutil.wait_procs(below, timeout=3)
    for child in alive:
        child.kill()
