"""What `uso manifest` and `uso validate` take.

A command's module is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from jobs.options import ConfigFile, Limit, Overrides, StorageConfig, with_limit


class Pair(str, Enum):
    """Choices of --pair."""

    GRID = "grid"
    ZIP = "zip"
    RANDOM = "random"


def manifest(
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="The Parquet file to write: a path or URL.", show_default=False
        ),
    ],
    content: Annotated[
        list[str] | None,
        typer.Option(
            help="Content images: a file, folder, glob or URL of such. Repeatable.",
            show_default=False,
        ),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(help="Style images, likewise. Repeatable.", show_default=False),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A prompt. Repeatable.", show_default=False)
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file with one prompt per line.", show_default=False)
    ] = None,
    pair: Annotated[
        Pair,
        typer.Option(
            help="grid: every content with every style and prompt; zip: the first with the first, "
            "and so on; random: some styles of its own for every content."
        ),
    ] = Pair.GRID,
    styles_per_content: Annotated[
        int, typer.Option(min=1, help="With --pair random: how many styles.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="With --pair random: of the choice.")] = 0,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Instead: rows from CSV, JSON Lines, Parquet, the original's eval JSON, local or "
            "at a URL (hf://datasets/...). Repeatable.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="With --from: what a column is called there, e.g. prompt=caption. Repeatable.",
            show_default=False,
        ),
    ] = None,
    base_uri: Annotated[
        str | None,
        typer.Option(
            help="With --from: what relative references are relative to.",
            show_default="each file's folder",
        ),
    ] = None,
    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Instead: the rows that failed in the run of this YAML file.",
            show_default=False,
        ),
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option(
            help="With --failed: only rows with this failure code. Repeatable.", show_default=False
        ),
    ] = None,
    low_scoring: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Instead: the rows with a low score in the run of this YAML file, with new seeds.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="With --low-scoring: the column of the records, or of --scores, with the score.",
            show_default=False,
        ),
    ] = None,
    below: Annotated[
        float | None,
        typer.Option(
            help="With --low-scoring: rows with a score less than this.", show_default=False
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="With --low-scoring: a table with the columns id and COLUMN: Parquet, CSV or JSON "
            "Lines, local or at a URL.",
            show_default="the records",
        ),
    ] = None,
    config: StorageConfig = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Make a manifest from images, styles and prompts, from a table, or from a run's rows."""
    from jobs.manifest import (
        Combination,
        FailedSource,
        LowScoreSource,
        Source,
        TableSource,
        Target,
        manifest_command,
    )
    from pipelines.tools.compose.pairing import RandomStyles

    parts = bool(content or style or prompt or prompts)
    if parts + bool(table) + bool(failed) + bool(low_scoring) != 1:
        raise typer.BadParameter(
            "give images, styles or prompts, or --from, or --failed, or --low-scoring: one of these"
        )
    _only_with("--from", table, {"--column": column, "--base-uri": base_uri})
    _only_with("--failed", failed, {"--code": code})
    scoring = {"--score": score, "--below": below, "--scores": scores}
    _only_with("--low-scoring", low_scoring, scoring)
    if failed is not None:
        source: Source = FailedSource(failed, code or ())
    elif low_scoring is not None:
        if score is None or below is None:
            raise typer.BadParameter("--low-scoring needs --score COLUMN and --below NUMBER")
        source = LowScoreSource(low_scoring, score, below, scores)
    elif table:
        source = TableSource(table, column or (), base_uri)
    else:
        choice = RandomStyles(styles_per_content, seed)
        source = Combination(content or (), style or (), prompt or (), prompts, pair.value, choice)
    raise typer.Exit(manifest_command(source, Target(out, force, config or failed or low_scoring)))


def _only_with(needed: str, given: object, options: Mapping[str, object]) -> None:
    """Refuse options that would do nothing without the one that they belong to."""
    for name, value in options.items():
        if value is not None and not given:
            raise typer.BadParameter(f"goes with {needed}, which is missing", param_hint=name)


def validate(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Limit = None,
    fetch: Annotated[
        str | None,
        typer.Option(
            metavar="all|N",
            help="Fetch and decode every different reference, too, or N of them.",
            show_default=False,
        ),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.parquet",
            help="Write every problem to this file: a path or URL.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check every row of a manifest, and its images. Needs no model, no GPU and no cluster.

    Exit codes: 0 nothing is wrong, 2 something is.
    """
    from jobs.validate import validate_command

    if fetch is not None and fetch != "all" and not (fetch.isdecimal() and int(fetch) > 0):
        raise typer.BadParameter("give all, or a number from 1", param_hint="--fetch")
    values = with_limit(overrides, limit)
    raise typer.Exit(validate_command(config, values, fetch=fetch, problems=problems))
