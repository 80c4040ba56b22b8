"""The `uso` command line.

What a command takes is said in `cli_run`, `cli_manifest`, `cli_cluster` and `cli_model`; the module
that does it is imported when it runs: torch and Ray take seconds, and `uso --help` must answer at
once.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from jobs import cli_cluster, cli_manifest, cli_model, cli_run, screen
from jobs.heap import keep_heap_compact

app = typer.Typer(
    name="uso",
    help="USO for whole datasets: a manifest of prompts and reference images goes in, stylized "
    "images and one record per row come out.",
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
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    screen.tolerate_narrow_encodings()


for command in (
    *(cli_run.run, cli_run.describe, cli_run.plan, cli_run.status, cli_run.report, cli_run.pack),
    *(cli_manifest.manifest, cli_manifest.validate),
    *(cli_cluster.submit, cli_cluster.jobs, cli_cluster.logs, cli_cluster.stop),
    *(cli_model.generate, cli_model.tiny),
):
    app.command()(command)


def main() -> None:
    """Run the command line; the console script's entry point."""
    keep_heap_compact()
    app()


if __name__ == "__main__":
    main()
