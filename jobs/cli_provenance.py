"""Options of `uso verify`; the module that does its work is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.options import AsJson, Output, StorageConfig


def verify(
    output: Output,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write all problems to this Parquet file or URL.",
            show_default=False,
        ),
    ] = None,
    config: StorageConfig = None,
    as_json: AsJson = False,
) -> None:
    """Check the records and images of an output against each other. Reads every image.

    Changes nothing, and needs no cluster.

    Exit codes:
    0  nothing is wrong
    2  the output cannot be read
    4  something is wrong
    """
    from jobs.verify import VerifyCommand, verify_command

    raise typer.Exit(verify_command(VerifyCommand(output, problems, config, as_json)))
