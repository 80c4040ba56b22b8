"""A real S3-compatible server for tests: rclone serves a temporary folder on 127.0.0.1."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import s3fs

from tests.server_process import free_port, running

_KEY, _SECRET = "test-access-key", "test-secret-key-0123456789"


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
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [_rclone(), "serve", "s3", "--addr", address, "--auth-key", f"{_KEY},{_SECRET}"]
    command += ["--config", "/dev/null", "--vfs-cache-mode", "off", str(buckets)]
    with running(command, port, folder / "log"):
        yield S3Server(f"http://{address}", _KEY, _SECRET, buckets)


def _rclone() -> str:
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise FileNotFoundError("no rclone: pip install 'uso-batch[dev]'")
    return found
