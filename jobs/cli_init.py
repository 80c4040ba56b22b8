"""Options of `uso init`.

The module that does the work is imported when the command runs: `uso --help` must answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.options import AsJson

_Machine = Literal["laptop", "gpu", "cluster"]


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", dir_okay=False, help="The YAML file to write.")
    ] = Path("my-run.yaml"),
    machine: Annotated[
        _Machine | None,
        typer.Option(
            "--for",
            help="laptop: a small model on the CPU; gpu: the real weights on one GPU; cluster: "
            "on a Ray cluster.",
            show_default="asks",
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The manifest: a file, folder, glob or URL.",
            show_default="asks, or manifest.parquet",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option(metavar="PATH", help="The output of the run: a folder or URL.")
    ] = "out/run",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a configuration with comments, from two questions or from options."""
    from jobs.init import ABOUT, Machine, init_command

    asks = sys.stdin.isatty() and not as_json
    chosen: Machine | None = machine
    if chosen is None:
        if not asks:
            raise typer.BadParameter("give laptop, gpu or cluster", param_hint="--for")
        for name, about in ABOUT.items():
            typer.echo(f"  {name:<8} {about}")
        chosen = _ask("Where does it run?", [*ABOUT])
    if manifest is None:
        manifest = "manifest.parquet"
        if asks:
            manifest = typer.prompt("Which manifest?", default=manifest)
    code = init_command(file, chosen, manifest, output, force=force, as_json=as_json)
    raise typer.Exit(code)


def _ask(question: str, names: list[_Machine]) -> _Machine:
    while True:
        answer = typer.prompt(question, default=names[0])
        for name in names:
            if answer == name:
                return name
        typer.echo(f"give {', '.join(names)}")
