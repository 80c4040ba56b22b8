"""The `uso` command line.

The modules `cli_*` declare the options of the commands. They import the module that does the work
when a command runs: torch and Ray take seconds to load, and `uso --help` must answer at once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from jobs import (
    cli_cluster,
    cli_compare,
    cli_init,
    cli_manifest,
    cli_model,
    cli_provenance,
    cli_run,
    cli_serve,
    cli_style,
    cli_stylize,
    terminal,
)
from jobs.ending import ended_at_once
from jobs.heap import keep_heap_compact
from jobs.options import CheckingCommand

app = typer.Typer(
    name="uso",
    help="Generate image datasets with USO from a manifest of prompts and reference images.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"uso-batch {version('uso-batch')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    terminal.tolerate_narrow_encodings()


_PREPARE = (
    cli_init.init,
    cli_manifest.manifest,
    cli_manifest.validate,
    cli_run.describe,
    cli_run.plan,
)
_RUN = (
    cli_run.run,
    cli_run.status,
    cli_run.report,
    cli_compare.compare,
    cli_run.score,
    cli_run.pack,
    cli_run.prune,
    cli_provenance.replay,
    cli_provenance.verify,
)
_CLUSTER = (cli_cluster.submit, cli_cluster.jobs, cli_cluster.logs, cli_cluster.stop)
_MODEL = (cli_model.generate, cli_model.tiny)
_COMMANDS: dict[str, Sequence[Callable[..., None]]] = {
    "A folder of photographs": (cli_stylize.stylize,),
    "Prepare a run": _PREPARE,
    "Run, watch and use the output": _RUN,
    "Run on a Ray cluster": _CLUSTER,
    "Serve over HTTP": (cli_serve.serve,),
    "Without a manifest": _MODEL,
}
_CHECKING = (cli_run.run, cli_cluster.submit)
for panel, commands in _COMMANDS.items():
    for command in commands:
        cls = CheckingCommand if command in _CHECKING else None
        app.command(rich_help_panel=panel, cls=cls)(command)
app.add_typer(cli_style.style, name="style", rich_help_panel="Prepare a run")
app.add_typer(cli_serve.keys, name="keys", rich_help_panel="Serve over HTTP")


def main() -> None:
    """Run the command line, and end the process; the entry point of the console script."""
    keep_heap_compact()
    with ended_at_once():
        _run()


def _run() -> None:
    try:
        app()
    finally:
        # The command has ended and said so. Ray's exit takes a moment, and another Ctrl-C would
        # break it off with a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
