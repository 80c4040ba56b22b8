"""`uso run`: generates the images of a manifest, and their records."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from jobs import exits, terminal
from jobs.early_ray import early_ray
from jobs.heap import collect_seldom
from jobs.log import log_to
from jobs.progress import display_for
from pipelines.config.schema import RunConfig
from pipelines.config.source import ConfigSource
from pipelines.config.telemetry import LoggingConfig
from pipelines.errors import RunError

if TYPE_CHECKING:
    from pipelines.driver.summary import RunSummary

logger = logging.getLogger(__name__)

_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the processes of a submitted job."""


def run_command(
    config_path: Path,
    overrides: Sequence[str],
    *,
    verbose: bool,
    as_json: bool = False,
    through: str | None = None,
) -> int:
    """Run the pipeline and return the exit code.

    Safe to run again: recorded rows are skipped. Rows that an interrupted run did not record are
    generated again, under the same file names.

    Args:
        config_path: the YAML file of the run.
        overrides: values that replace those of the file, each as `a.b=c`.
        verbose: log at the level `info`, unless the configuration asks for `debug`.
        as_json: print the summary as one JSON document; progress stays on stderr.
        through: URL of a server whose actors generate the images; None: actors of the run's own.
    """
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
    if verbose and config.logging.level != "debug":
        logging_config = config.logging.model_copy(update={"level": "info"})
        config = config.model_copy(update={"logging": logging_config})
    summary = run_config(config, through, source=_source(config_path, overrides))
    # Imported here, because it loads Arrow: Ray gets ready meanwhile.
    from jobs.summary import as_dict, exit_code, print_summary  # noqa: PLC0415

    if as_json:
        terminal.print_json(as_dict(summary))
        return exit_code(summary)
    reach = ("--config", str(config_path)) if config.storage else ()
    print_summary(summary, config.on_error.max_failed_fraction, terminal.out(), reach, config_path)
    return exit_code(summary)


def run_config(
    config: RunConfig,
    through: str | None = None,
    *,
    on_begin: Callable[[], None] | None = None,
    source: ConfigSource | None = None,
    show: Callable[[str], None] = exits.print_error,
) -> RunSummary:
    """Run a configuration, with log and progress on stderr; an error ends the command.

    Args:
        config: the configuration.
        through: URL of a server whose actors generate the images; None: actors of the run's own.
        on_begin: see `pipelines.run`.
        source: see `pipelines.run`.
        show: prints the message of an error in the inputs.
    """
    console = terminal.err()
    with ExitStack() as at_end, exits.exit_on_error(show=show), _interruptible(console):
        log_to(console, config.logging)
        if not config.ray.is_off:  # a model in this process may leave images in cycles
            collect_seldom()
        early = early_ray(config) if through is None else None
        if early is not None:
            at_end.callback(early.close)  # after the message of an error
        # Imported late: Ray loads for seconds, and a wrong configuration ends the command first.
        from pipelines.driver.run import run  # noqa: PLC0415

        with (
            exits.exit_on_error(RunError, show=_error_printer(config.logging)),
            display_for(console, config.logging) as display,
        ):
            return run(
                config,
                listener=display,
                through=through,
                on_begin=on_begin,
                source=source,
                ray=early,
            )


def _source(config_path: Path, overrides: Sequence[str]) -> ConfigSource | None:
    # A relative path of a Ray job names a copy of the file, which goes with the job.
    if _RAY_JOB in os.environ and not config_path.is_absolute():
        return None
    return ConfigSource.of(config_path, overrides)


@contextmanager
def _interruptible(console: Console) -> Iterator[None]:
    """Exit without a summary on a signal before the first rows, or on a second signal."""
    try:
        yield
    except KeyboardInterrupt as signal:
        console.print("Interrupted. Existing records stay. Run the same command to resume.")
        raise typer.Exit(exits.INTERRUPTED) from signal


def _error_printer(config: LoggingConfig) -> Callable[[str], None]:
    """Return a function that prints an error in the format of the log."""
    if config.format == "text":
        return exits.print_error
    return lambda message: logger.error("run_failed reason=%s", message)
