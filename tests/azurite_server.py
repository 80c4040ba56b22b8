"""A real server of Azure's Blob API for tests: Azurite, which needs Node.js, on 127.0.0.1.

`make azurite` installs it into build/.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.storage.filesystems import open_filesystem
from tests.pipelines.storage.stores import AZURE_KEY, azure_options
from tests.server_process import free_port, running

INSTALLED = Path(__file__).parents[1] / "build" / "azurite" / "node_modules"


@dataclass(frozen=True)
class AzuriteServer:
    """A running server.

    Attributes:
        endpoint_url: its URL.
    """

    endpoint_url: str

    @property
    def options(self) -> dict[str, dict[str, str]]:
        """Settings for `storage:` in a configuration."""
        return {"az": azure_options(self.endpoint_url)}

    def with_key(self, key: str) -> dict[str, dict[str, str]]:
        """Return the settings with another account key."""
        return {"az": azure_options(self.endpoint_url, key)}

    def new_bucket(self) -> str:
        """Create a new, empty container and return its name."""
        name = f"container-{secrets.token_hex(4)}"
        open_filesystem(f"az://{name}", self.options)[0].mkdir(name)
        return name


@contextlib.contextmanager
def serve_azure(folder: Path) -> Iterator[AzuriteServer]:
    """Run a server on a free port inside the block."""
    folder.mkdir(parents=True, exist_ok=True)
    program = INSTALLED / "azurite" / "dist" / "src" / "blob" / "main.js"
    node = shutil.which("node")
    if node is None or not program.exists():
        raise FileNotFoundError("no Azurite; install Node.js, then run: make azurite")
    port = free_port()
    command = [node, str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(folder), "--silent", "--skipApiVersionCheck"]
    with running([*command, "--disableTelemetry"], port, folder / "log"):
        yield AzuriteServer(f"http://127.0.0.1:{port}")


__all__ = ["AZURE_KEY", "AzuriteServer", "serve_azure"]
