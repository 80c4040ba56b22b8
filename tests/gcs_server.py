"""A real server of Google Cloud Storage's JSON API for tests: an emulator on 127.0.0.1."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.storage.filesystems import open_filesystem
from tests.server_process import free_port, running


@dataclass(frozen=True)
class GcsServer:
    """A running server.

    Attributes:
        endpoint_url: its URL.
        folder: holds one folder per bucket, with the content of its objects as files.
    """

    endpoint_url: str
    folder: Path

    @property
    def options(self) -> dict[str, dict[str, Any]]:
        """Settings for `storage:` in a configuration."""
        return {"gs": {"endpoint_url": self.endpoint_url, "token": "anon", "project": "test"}}

    def new_bucket(self) -> str:
        """Create a new, empty bucket and return its name."""
        name = f"bucket-{secrets.token_hex(4)}"
        open_filesystem(f"gs://{name}", self.options)[0].mkdir(name)
        return name


@contextlib.contextmanager
def serve_gcs(folder: Path) -> Iterator[GcsServer]:
    """Run a server on a free port inside the block."""
    data = folder / "buckets"
    data.mkdir(parents=True)
    port = free_port()
    emulator = "from gcp_storage_emulator.__main__ import main; main()"
    command = [sys.executable, "-c", emulator, "--data-dir", str(data), "start", "-q"]
    with running([*command, "--port", str(port), "--host", "127.0.0.1"], port, folder / "log"):
        yield GcsServer(f"http://127.0.0.1:{port}", data)
