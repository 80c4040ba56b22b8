"""Options of `uso replay` and `verify`; the module that does the work is imported later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.options import AsJson, Output, Overrides, StorageConfig


def replay(
    output: Output,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Ids of rows. Default: all completed rows.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Draw N of the rows again.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --sample: another seed takes other rows.")] = 0,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Draw with this YAML file. Default: with the configuration in the output, which "
            "has no secrets.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Draw rows again from their records, and say whether the images are the same.

    Works in this process, and changes nothing in the output.

    Exit codes:
    0  every row is byte-equal, or within the tolerance of its preset
    1  the workers do not start
    2  the output, an id, the configuration or the model cannot be used
    4  a row is different
    """
    from jobs.replay import ReplayCommand, replay_command
    from pipelines.replay.chosen import Choice

    if ids and sample is not None:
        raise typer.BadParameter("goes without ids", param_hint="--sample")
    choice = Choice(tuple(ids or ()), sample, seed)
    raise typer.Exit(
        replay_command(ReplayCommand(output, choice, config, overrides or [], as_json))
    )


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
    trust: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="PEM file of the root certificates that signed images must lead to.",
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

    raise typer.Exit(verify_command(VerifyCommand(output, problems, trust, config, as_json)))
