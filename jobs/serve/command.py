"""`uso serve`: serves the hosted APIs on this machine's actors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import uvloop

from jobs import exits, terminal
from jobs.log import log_to
from jobs.serve import access
from jobs.serve.config import load_serve_config
from jobs.serve.server import serve
from pipelines.telemetry.logs import level_of


def serve_command(config_path: Path, overrides: Sequence[str]) -> int:
    """Serve until a signal, and return the exit code."""
    console = terminal.err()

    def on_start(url: str, secret: str | None) -> None:
        console.print(f"listening on {url}", soft_wrap=True)
        if secret is not None:
            console.print(f"API key, shown once: {secret}", soft_wrap=True)

    with exits.exit_on_error():
        config = load_serve_config(config_path, overrides)
        log_to(console, config.logging)
        if config.serve.access_log:
            access.logger.setLevel(min(logging.INFO, level_of(config.logging)))
        uvloop.run(serve(config, on_start))
    return exits.DONE
