"""Where a command's log goes, and in which form."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

from jobs import screen
from pipelines.config.telemetry import LoggingConfig
from pipelines.telemetry.logs import JsonFormatter, level_of

_PACKAGES = ("pipelines", "uso_core", "jobs")


def log_to(console: Console, config: LoggingConfig) -> None:
    """Send the log to `console`, above the progress display where there is one."""
    logging.basicConfig(level=logging.WARNING, handlers=[_handler(console, config)], force=True)
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(level_of(config))
    # When a store cuts connections, its client leaves tasks behind, each with a traceback that says
    # less than what `storage_unavailable` says of the same.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    if config.format == "json":  # progress is no text beside the log then, but a part of it
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
    """Log events carry ids and URIs of the user's."""

    def format(self, record: logging.LogRecord) -> str:
        return screen.lines(super().format(record))


class _LineHandler(logging.Handler):
    """Prints each line as it is, above what is drawn at the bottom of the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), soft_wrap=True)
