"""Options of `uso compare`; the module that does its work is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.options import AsJson


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The output of a run: a folder or URL.", show_default=False
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="The output of another run over the same rows.", show_default=False
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a page with the pairs of pictures to this folder or URL, too.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        int,
        typer.Option(min=2, metavar="N", help="Show the N pairs that differ most in each score."),
    ] = 24,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure the scores that rows lack, from the stored images: those of --config, "
            "or all that need no weights.",
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Use the storage options, fetch policy and scores of this YAML file.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two outputs over the same rows, by every score. Needs no cluster.

    Exit codes:
    0  compared
    2  an output cannot be read, or they have no row or no score in common
    """
    from jobs.compare import CompareRequest, compare_command

    raise typer.Exit(compare_command(CompareRequest(a, b, out, pairs, measure, config, as_json)))
