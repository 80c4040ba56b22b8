"""Sets up the log of a command: its destination and its format."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

from jobs import terminal
from pipelines.config.telemetry import LoggingConfig
from pipelines.telemetry.logs import JsonFormatter, level_of

_PACKAGES = ("pipelines", "uso_core", "jobs")


def log_to(console: Console, config: LoggingConfig) -> None:
    """Send the log to `console`, above the progress display if there is one."""
    logging.basicConfig(level=logging.WARNING, handlers=[_handler(console, config)], force=True)
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(level_of(config))
    # When a store cuts connections, its client abandons tasks. Their tracebacks say less than the
    # event `storage_unavailable`, which reports the same outage.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    if config.format == "json":  # progress is part of the log then, not text beside it
        logging.getLogger("jobs.progress").setLevel(logging.INFO)


def _handler(console: Console, config: LoggingConfig) -> logging.Handler:
    handler: logging.Handler
    if config.format == "json":
        handler = _LineHandler(console) if console.is_terminal else logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
    elif console.is_terminal:
        handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(_SafeFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


class _SafeFormatter(logging.Formatter):
    """Escapes control characters, because log events carry ids and URIs from the manifest."""

    def format(self, record: logging.LogRecord) -> str:
        return terminal.lines(super().format(record))


class _LineHandler(logging.Handler):
    """Prints each line unchanged, above the live display at the bottom of the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), soft_wrap=True)
