"""`uso serve` as a process that is started again and again."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx2

from benchmarks.chaos.runs import Run
from tests.integration.harness import write_config
from tests.server_process import free_port

_START_S = 900.0  # on a busy machine, actors load for minutes
_STOP_S = 300.0
_POLL_S = 0.2
_KEY = re.compile(r"API key, shown once: (\S+)")


class ServerError(Exception):
    """The server does not start, or does not end."""


class Served:
    """The server of a round.

    Attributes:
        database: its database, as `serve.database` names it.
        files: the folder of its files.
        url: its URL, the same after each start.
        starts: number of times that it was started.
    """

    def __init__(self, folder: Path, database: str, ray_address: str) -> None:
        self.database = database
        self.files = folder / "files"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.starts = 0
        self._folder = folder
        self._http = httpx2.Client(base_url=self.url, timeout=5)
        self._run: Run | None = None
        self._key: str | None = None
        serve = {
            "port": port,
            "database": database,
            "files": str(self.files),
            "allow_http_webhooks": True,
            # A task that happens to be on an actor at three of the kills is not at fault.
            "attempts": 100,
        }
        config = {
            "serve": serve,
            "model": {"base": "tiny"},
            "fetch": {"allow_private_networks": True},
            "stylize": {"actors": 2, "gpus_per_actor": 0, "cpus_per_actor": 1, "attempts": 10},
            "ray": {"address": ray_address, "stop_grace_s": 20},
        }
        write_config(folder / "serve.yaml", config)

    @property
    def run(self) -> Run:
        """The process of the latest start."""
        assert self._run is not None
        return self._run

    @property
    def headers(self) -> dict[str, str]:
        """The header with the key that the first start has printed."""
        return {"Authorization": f"Bearer {self._key}"}

    def start(self) -> None:
        """Start it, and wait until it listens."""
        log = self._folder / f"server-{self.starts}.log"
        self.starts += 1
        self._run = Run.start([str(self._folder / "serve.yaml")], {}, log, command="serve")
        self._wait_for("/healthz")
        if self._key is None:
            found = _KEY.search(self._run.printed)
            if found is None:
                raise ServerError(f"no key was printed: {self._run.printed}")
            self._key = found[1]

    def wait_until_ready(self) -> None:
        """Wait until an actor holds the model."""
        self._wait_for("/readyz")

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.run.process.kill()
        self.run.process.wait()

    def stop(self) -> None:
        """Send it SIGTERM, and wait until it has ended."""
        self.run.process.terminate()
        if not self.run.ends_within(_STOP_S) or self.run.process.returncode != 0:
            raise ServerError(f"it ended with {self.run.process.poll()}: {self.run.printed}")

    def close(self) -> None:
        """End it if it still runs."""
        self._http.close()
        if self._run is not None and self._run.alive:
            self.kill()

    def _wait_for(self, path: str) -> None:
        give_up_at = time.monotonic() + _START_S
        while time.monotonic() < give_up_at:
            if not self.run.alive:
                break
            try:
                if self._http.get(path).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(_POLL_S)
        raise ServerError(f"{path} does not answer 200: {self.run.printed}")
