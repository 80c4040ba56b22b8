"""`uso run`: a manifest goes in, images and records come out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

from jobs import exits, screen
from jobs.log import log_to
from jobs.progress import display_for
from jobs.summary import exit_code, print_summary
from pipelines.config.schema import RunConfig
from pipelines.config.telemetry import LoggingConfig
from pipelines.errors import RunError

logger = logging.getLogger(__name__)


def run_command(config_path: Path, overrides: Sequence[str], *, verbose: bool) -> int:
    """Run what `config_path` and `overrides` ask for, and return the exit code.

    Safe to run again: rows that are recorded are skipped, and what an interrupted run had not
    recorded is drawn again, onto the same names.
    """
    progress_console = screen.err()
    with exits.exit_on_error(), _cut_short(progress_console):
        config = RunConfig.from_yaml(config_path, overrides)
        if verbose and config.logging.level != "debug":
            logging_config = config.logging.model_copy(update={"level": "info"})
            config = config.model_copy(update={"logging": logging_config})
        log_to(progress_console, config.logging)
        # Imported late: Ray takes seconds, and a wrong configuration is told before.
        from pipelines.driver.run import run  # noqa: PLC0415

        with (
            exits.exit_on_error(RunError, say=_teller(config.logging)),
            display_for(progress_console, config.logging) as display,
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


def _teller(config: LoggingConfig) -> Callable[[str], None]:
    """How to say why the run failed: among JSON, as JSON."""
    if config.format == "text":
        return exits.say_error
    return lambda message: logger.error("run_failed reason=%s", message)
