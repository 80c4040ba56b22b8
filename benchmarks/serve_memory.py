"""Memory of `uso serve`: waiting tasks, open streams, idle connections, large bodies.

    python -m benchmarks.serve_memory [--connections 9900]

The server is a process of its own, with the demo's tiny model and one actor. Its memory is read
from `/proc` after each step; Ray's processes and the actor are counted apart. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 10**6
TASKS, STREAMS, BODIES = 1000, 300, 4
_START_S = 600.0
_AT_ONCE = 50


@dataclass
class Server:
    """A running server."""

    pid: int
    host: str
    port: int
    key: str

    def note(self, step: str) -> None:
        """Print a row: the memory now, and the largest so far."""
        pss, peak = (
            memory_mb(self.pid, "smaps_rollup", "Pss"),
            memory_mb(self.pid, "status", "VmHWM"),
        )
        print(f"| {step} | {pss:.0f} | {peak:.0f} |", flush=True)


def memory_mb(pid: int, file: str, name: str) -> float:
    """Return a figure of a process from a file in its folder of `/proc`, in MB."""
    text = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / MB


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Start a server, and end it after the block."""
    config = {
        "serve": {
            "port": 0,
            "database": str(folder / "uso.db"),
            "files": str(folder / "files"),
            "access_log": False,
        },
        "model": {"base": "tiny"},
        "stylize": {"actors": 1, "gpus_per_actor": 0},
    }
    path = folder / "serve.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [sys.executable, "-m", "jobs.cli", "serve", str(path)]
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    log = folder / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment)
        try:
            url = waited_for(log, r"listening on http://([\d.]+):(\d+)")
            key = waited_for(log, r"API key, shown once: (\S+)")
            yield Server(process.pid, url[1], int(url[2]), key[1])
        finally:
            process.terminate()
            process.wait(60)


def waited_for(log: Path, pattern: str) -> re.Match[str]:
    """Return the first match in a file that grows."""
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at:
        found = re.search(pattern, log.read_text())
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError(log.read_text())


async def request(
    server: Server, method: str, path: str, body: bytes = b"", *, key: bool = True
) -> tuple[int, bytes]:
    """Send a request on a connection of its own; return the status and the body."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(head(server, method, path, len(body), key=key) + body)
    answer = await reader.read()
    writer.close()
    first, _, rest = answer.partition(b"\r\n\r\n")
    return int(first[9:12]), rest


def head(server: Server, method: str, path: str, size: int, *, key: bool = True) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {size}"]
    lines += [f"Authorization: Bearer {server.key}"] if key else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def submitted(server: Server, count: int) -> list[str]:
    """Submit tasks, and return their ids."""
    body = json.dumps({"app": "infsh/bytedance-uso", "input": {"prompt": "a cat"}}).encode()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def submit() -> str:
        async with turns:
            status, answer = await request(server, "POST", "/apps/run", body)
            assert status == 200, answer
            return str(json.loads(answer)["data"]["id"])

    return await asyncio.gather(*(submit() for _ in range(count)))


@asynccontextmanager
async def streams(server: Server, ids: list[str]) -> AsyncIterator[None]:
    """Hold a stream for each task open, and read its events."""

    async def follow(task_id: str, is_open: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(head(server, "GET", f"/tasks/{task_id}/stream", 0))
        while await reader.readline():
            is_open.set()
        writer.close()

    opened = [asyncio.Event() for _ in ids]
    pairs = zip(ids, opened, strict=True)
    following = [asyncio.create_task(follow(task_id, event)) for task_id, event in pairs]
    await asyncio.gather(*(event.wait() for event in opened))
    yield
    for each in following:
        each.cancel()
    await asyncio.gather(*following, return_exceptions=True)


@asynccontextmanager
async def idle_connections(server: Server, count: int) -> AsyncIterator[float]:
    """Hold connections open on which half a head was sent; yield the seconds of a request."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        writers.append(writer)
    started = time.perf_counter()
    status, _ = await request(server, "GET", "/healthz")
    assert status == 200
    yield time.perf_counter() - started
    for writer in writers:
        writer.close()


async def large_bodies(server: Server, count: int, size: int) -> list[int]:
    """Send bodies of `size` bytes at the same time, and return the statuses."""
    image = b"data:image/png;base64," + b"A" * (size // 5)
    body = json.dumps({"prompt": "a", "reference_images": [image.decode()] * 4}).encode()
    path = "/api/v3/bytedance/uso"
    answers = await asyncio.gather(
        *(request(server, "POST", path, body) for _ in range(count)), return_exceptions=True
    )
    return [answer[0] if isinstance(answer, tuple) else 0 for answer in answers]


async def until_ready(server: Server) -> None:
    """Wait until an actor holds the model."""
    give_up_at = time.monotonic() + _START_S
    while (await request(server, "GET", "/readyz"))[0] != 200:
        if time.monotonic() > give_up_at:
            raise TimeoutError("no actor")
        await asyncio.sleep(0.5)


async def measure(server: Server, connections: int) -> None:
    """Take all steps."""
    server.note("listens")
    await until_ready(server)
    server.note("an actor is ready")
    ids = await submitted(server, TASKS)
    server.note(f"{TASKS:,} tasks were accepted")
    async with streams(server, ids[-STREAMS:]):
        await asyncio.sleep(10)
        server.note(f"and {STREAMS} streams are open")
    async with idle_connections(server, connections) as seconds:
        server.note(f"{connections:,} idle connections (/healthz in {seconds * 1000:.0f} ms)")
    statuses = await large_bodies(server, BODIES, 100 * MB)
    server.note(f"{BODIES} bodies of 100 MB at once ({statuses})")
    await asyncio.sleep(5)
    server.note("afterwards")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=9_900)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| step | PSS, MB | peak RSS, MB |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        asyncio.run(measure(server, arguments.connections))
        for process in psutil.Process(server.pid).children(recursive=True):
            print(process.name(), f"{memory_mb(process.pid, 'smaps_rollup', 'Pss'):.0f}", sep="\t")


if __name__ == "__main__":
    main()
