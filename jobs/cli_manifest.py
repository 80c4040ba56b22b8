"""Options of `uso manifest` and `uso validate`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.heap import collect_seldom
from jobs.manifest_options import Chosen, Combination, Failed, LowScoring, Table
from jobs.option_groups import with_option_groups
from jobs.options import (
    AsJson,
    ConfigFile,
    Ids,
    Limit,
    Overrides,
    StorageConfig,
    references_to_fetch,
    with_part,
)

if TYPE_CHECKING:
    from jobs.manifest import Source


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
    chosen: Chosen,
    config: StorageConfig = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a manifest from images and prompts, from a table or from rows of a run."""
    from jobs.manifest import Target, manifest_command

    _check(combination, table, failed, low, chosen)
    source = _of_a_run(failed, low, chosen) or _new(combination, table)
    options_of = config or failed.failed or low.low_scoring or chosen.chosen
    raise typer.Exit(manifest_command(source, Target(out, force, options_of, as_json)))


def _check(
    combination: Combination, table: Table, failed: Failed, low: LowScoring, chosen: Chosen
) -> None:
    """Reject options that name no source of rows or several, and those of another source."""
    runs = (failed.failed, low.low_scoring, chosen.chosen)
    if sum(map(bool, (combination.given, table.table, *runs))) != 1:
        raise typer.BadParameter(
            "give images, styles or prompts, or --from, or --failed, or --low-scoring, or "
            "--chosen: one of these"
        )
    has_table = table.table or combination.prompts
    _only_with("--from", has_table, {"--column": table.column})
    _only_with("--from", table.table, {"--base-uri": table.base_uri})
    _only_with("--failed", failed.failed, {"--code": failed.code})
    scoring = {"--score": low.score, "--below": low.below, "--scores": low.scores}
    _only_with("--low-scoring", low.low_scoring, scoring)
    _only_with("--chosen", chosen.chosen, {"--ids": chosen.ids, "--new-seeds": chosen.new_seeds})


def _of_a_run(failed: Failed, low: LowScoring, chosen: Chosen) -> Source | None:
    """Return the rows of a run that the options name; None if they name no run."""
    from jobs import rows_again as sources

    if failed.failed is not None:
        return sources.FailedSource(failed.failed, failed.code or ())
    if low.low_scoring is not None:
        if low.score is None or low.below is None:
            raise typer.BadParameter("--low-scoring needs --score COLUMN and --below NUMBER")
        return sources.LowScoreSource(low.low_scoring, low.score, low.below, low.scores)
    if chosen.chosen is not None:
        if chosen.ids is None:
            raise typer.BadParameter("--chosen needs --ids FILE")
        return sources.ChosenSource(chosen.chosen, chosen.ids, bool(chosen.new_seeds))
    return None


def _new(combination: Combination, table: Table) -> Source:
    """Return the source of new rows that the options name."""
    from jobs import manifest as sources
    from pipelines.tools.compose.pairing import RandomStyles

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
    ids: Ids = None,
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
            help="Write every problem to this Parquet file: a path or URL. An interrupted check "
            "resumes with the same command.",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Fetch with all CPUs of the Ray cluster in ray.address; local: of this machine.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the rows of a manifest and, if asked, their images. Needs no model or GPU.

    Exit codes:
    0  nothing is wrong
    1  the cluster is lost
    2  something is wrong
    """
    collect_seldom()  # also while modules are imported
    from jobs.validate import ValidateRequest, validate_command
    from jobs.validate_fetch import FetchOptions

    fetch = None if fetch is None else references_to_fetch(fetch, "--fetch")
    _only_with("--fetch", fetch, {"--cluster": cluster or None})
    values = with_part(overrides, limit, ids)
    request = ValidateRequest(FetchOptions(fetch, problems, cluster), as_json)
    raise typer.Exit(validate_command(config, values, request))
