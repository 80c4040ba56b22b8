"""Options of `uso manifest` and `uso validate`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from jobs.option_groups import with_option_groups
from jobs.options import AsJson, ConfigFile, Limit, Overrides, StorageConfig, with_limit

if TYPE_CHECKING:
    from jobs.manifest import Source


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Options for a manifest of images, styles and prompts."""

    PANEL: ClassVar[str] = "Rows from images, styles and prompts"

    content: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Take content images from a file, folder, glob or URL. Repeatable.",
            show_default=False,
        ),
    ] = None
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Take style images from a file, folder, glob or URL. Repeatable.",
            show_default=False,
        ),
    ] = None
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help='Add a prompt; "" keeps the layout of the content image. Repeatable.',
            show_default=False,
        ),
    ] = None
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Add the prompts of a text file, one per line, or of the column prompt of a "
            "table (CSV, JSON Lines, Parquet). A path or URL.",
            show_default=False,
        ),
    ] = None
    pair: Annotated[
        Literal["grid", "zip", "random"],
        typer.Option(
            help="grid: every content image with every style and prompt. zip: the first with the "
            "first, the second with the second. random: every content image with a random choice "
            "of styles."
        ),
    ] = "grid"
    styles_per_content: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="With --pair random: choose N styles per content image."
        ),
    ] = 1
    seed: Annotated[
        int, typer.Option(metavar="N", help="With --pair random: the seed of the choice.")
    ] = 0

    @property
    def given(self) -> bool:
        """True if there is anything to combine."""
        return bool(self.content or self.style or self.prompt or self.prompts)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Options for a manifest from other tables."""

    PANEL: ClassVar[str] = "Rows from a table"

    table: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="TABLE",
            help="Convert a table: CSV, JSON Lines, Parquet or the eval JSON of the original "
            "implementation, a path or URL (hf://datasets/...). Repeatable.",
            show_default=False,
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="With --from or --prompts: map a column, e.g. prompt=caption. Repeatable.",
            show_default=False,
        ),
    ] = None
    base_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="With --from: resolve relative references against this folder or URL.",
            show_default="each file's folder",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Options for a manifest of failed rows."""

    PANEL: ClassVar[str] = "Failed rows of a run"

    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Take the rows that failed in the run of this YAML file.",
            show_default=False,
        ),
    ] = None
    code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="With --failed: take only rows with this failure code. Repeatable.",
            show_default=False,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LowScoring:
    """Options for a manifest of rows with a low score."""

    PANEL: ClassVar[str] = "Low-scoring rows of a run"

    low_scoring: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Take the rows that scored low in the run of this YAML file, with new seeds.",
            show_default=False,
        ),
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="With --low-scoring: the column that holds the score.",
            show_default=False,
        ),
    ] = None
    below: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --low-scoring: take rows that score less than this.",
            show_default=False,
        ),
    ] = None
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="With --low-scoring: read the scores from a table with the columns id and COLUMN: "
            "Parquet, CSV or JSON Lines, a path or URL.",
            show_default="the records of the run",
        ),
    ] = None


@with_option_groups
def manifest(
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help="The Parquet file to write: a path or URL.", show_default=False
        ),
    ],
    combination: Combination,
    table: Table,
    failed: Failed,
    low: LowScoring,
    config: StorageConfig = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a manifest from images and prompts, from a table or from rows of a run."""
    from jobs.manifest import Target, manifest_command

    source = _source(combination, table, failed, low)
    options_of = config or failed.failed or low.low_scoring
    raise typer.Exit(manifest_command(source, Target(out, force, options_of, as_json)))


def _source(combination: Combination, table: Table, failed: Failed, low: LowScoring) -> Source:
    """Return the one source that the options name."""
    from jobs import manifest as sources
    from pipelines.tools.compose.pairing import RandomStyles

    given = (combination.given, bool(table.table), bool(failed.failed), bool(low.low_scoring))
    if sum(given) != 1:
        raise typer.BadParameter(
            "give images, styles or prompts, or --from, or --failed, or --low-scoring: one of these"
        )
    has_table = table.table or combination.prompts
    _only_with("--from", has_table, {"--column": table.column})
    _only_with("--from", table.table, {"--base-uri": table.base_uri})
    _only_with("--failed", failed.failed, {"--code": failed.code})
    scoring = {"--score": low.score, "--below": low.below, "--scores": low.scores}
    _only_with("--low-scoring", low.low_scoring, scoring)
    if failed.failed is not None:
        return sources.FailedSource(failed.failed, failed.code or ())
    if low.low_scoring is not None:
        if low.score is None or low.below is None:
            raise typer.BadParameter("--low-scoring needs --score COLUMN and --below NUMBER")
        return sources.LowScoreSource(low.low_scoring, low.score, low.below, low.scores)
    if table.table:
        return sources.TableSource(table.table, table.column or (), table.base_uri)
    return sources.Combination(
        contents=combination.content or (),
        styles=combination.style or (),
        prompts=combination.prompt or (),
        prompt_file=combination.prompts,
        columns=table.column or (),
        pairing=combination.pair,
        choice=RandomStyles(combination.styles_per_content, combination.seed),
    )


def _only_with(needed: str, given: object, options: Mapping[str, object]) -> None:
    """Reject options that have no effect without `needed`."""
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
            help="Fetch and decode all references, or N of them, each different one once.",
            show_default=False,
        ),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write every problem to this Parquet file: a path or URL.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the rows of a manifest and, if asked, their images. Needs no model or GPU.

    Exit codes:
    0  nothing is wrong
    2  something is wrong
    """
    from jobs.validate import ValidateRequest, validate_command

    if fetch is not None and fetch != "all" and not (fetch.isdecimal() and int(fetch) > 0):
        raise typer.BadParameter("give all, or a number from 1", param_hint="--fetch")
    values = with_limit(overrides, limit)
    request = ValidateRequest(fetch, problems, as_json)
    raise typer.Exit(validate_command(config, values, request))
