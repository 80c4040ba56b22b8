"""`uso run`: a manifest goes in, images and records come out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.logging import RichHandler

from jobs import exits, screen
from jobs.progress import display_for
from jobs.summary import exit_code, print_summary
from pipelines.config.file import ConfigError
from pipelines.config.schema import RunConfig
from pipelines.driver.errors import RunError
from pipelines.ledger.lease import LeaseHeldError
from pipelines.ledger.ledger import LedgerError
from pipelines.manifest.manifest import ManifestError
from pipelines.storage.storage import StorageError
from uso_core.errors import CheckpointError

WRONG_INPUT = (
    ConfigError,
    ManifestError,
    StorageError,
    CheckpointError,
    LeaseHeldError,
    LedgerError,
)


def run_command(config_path: Path, overrides: Sequence[str], *, verbose: bool) -> int:
    """Run what `config_path` and `overrides` ask for, and return the exit code.

    Safe to run again: rows that are recorded are skipped, and what an interrupted run had not
    recorded is drawn again, onto the same names.
    """
    progress_console = screen.err()
    log_to(progress_console, verbose=verbose)
    with exits.exit_on(*WRONG_INPUT, code=exits.WRONG_INPUT), _cut_short(progress_console):
        config = RunConfig.from_yaml(config_path, overrides)
        # Imported late: Ray takes seconds, and a wrong configuration is told before.
        from pipelines.driver.run import run  # noqa: PLC0415

        with (
            exits.exit_on(RunError, code=exits.RUN_FAILED),
            display_for(progress_console) as display,
        ):
            summary = run(config, listener=display)
    reach = ("--config", str(config_path)) if config.storage else ()
    print_summary(summary, config.on_error.max_failed_fraction, screen.out(), reach)
    return exit_code(summary)


@contextmanager
def _cut_short(console: Console) -> Iterator[None]:
    """A signal before rows are at work, and a second one while they end, leave no summary."""
    try:
        yield
    except KeyboardInterrupt as signal:
        console.print("Interrupted. What was recorded stays; the same command goes on.")
        raise typer.Exit(exits.INTERRUPTED) from signal


def log_to(console: Console, *, verbose: bool) -> None:
    """Send the log to `console`, above the progress display where there is one."""
    level = logging.INFO if verbose else logging.WARNING
    if console.is_terminal:
        handler: logging.Handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(_SafeFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_SafeFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("pipelines", "uso_core", "jobs"):
        logging.getLogger(package).setLevel(level)
    # When a store cuts connections, its client leaves tasks behind, each with a traceback that says
    # less than what `storage_unavailable` says of the same.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class _SafeFormatter(logging.Formatter):
    """Log events carry ids and URIs of the user's."""

    def format(self, record: logging.LogRecord) -> str:
        return screen.lines(super().format(record))
