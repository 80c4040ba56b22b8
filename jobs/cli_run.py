"""Options of `uso run`, `describe`, `plan`, `status`, `report`, `pack`, `score` and `prune`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.options import (
    AsJson,
    CheckImages,
    ConfigFile,
    Ids,
    Limit,
    Output,
    Overrides,
    RetryFailed,
    StorageConfig,
    run_overrides,
    with_part,
)
from pipelines.formats import LAYOUT_SUMMARIES, LayoutName


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Limit = None,
    ids: Ids = None,
    retry_failed: RetryFailed = False,
    check_images: CheckImages = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log the events of the run on stderr.")
    ] = False,
    through: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Use the actors of the `uso serve` at this URL, after its interactive requests. "
            "USO_API_KEY holds a key that `uso keys create --batch` made.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Generate the images of a manifest. Run it again to resume.

    Rows that are already recorded are skipped.

    Exit codes:
    0    done
    1    the run failed
    2    the configuration, manifest, model or output cannot be used
    3    done, but more rows failed than on_error.max_failed_fraction allows
    4    done, but a row of on_end.replay_sample was different the second time
    130  interrupted
    """
    from jobs.run import run_command

    values = run_overrides(
        overrides, limit, ids, retry_failed=retry_failed, check_images=check_images
    )
    raise typer.Exit(run_command(config, values, verbose=verbose, as_json=as_json, through=through))


def describe(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show the stages, actors, resources and columns of a run. Starts nothing.

    Exit codes:
    0  no problem found
    2  the configuration, the model or the manifest cannot be used
    """
    from jobs.describe import describe_command

    raise typer.Exit(describe_command(config, overrides or [], as_json=as_json))


def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Limit = None,
    ids: Ids = None,
    price_per_gpu_hour: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="PRICE",
            help="Estimate the cost, too, at this price per GPU-hour, in any currency.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate the rows, time, GPU-hours and storage of a run. Starts nothing."""
    from jobs.plan import plan_command

    values = with_part(overrides, limit, ids)
    raise typer.Exit(
        plan_command(config, values, price_per_gpu_hour=price_per_gpu_hour, as_json=as_json)
    )


def status(
    output: Output,
    as_json: AsJson = False,
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Print the first N records, too.")
    ] = 0,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the run until it ends.")] = False,
    every: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECONDS", help="With --watch: the time between two updates."
        ),
    ] = 5,
    config: StorageConfig = None,
) -> None:
    """Count the records of an output. Needs no cluster, and works during a run.

    Exit codes:
    0    counted; with --watch: the run completed
    1    with --watch: the run failed, or its driver was killed
    2    the output contains no run, or cannot be read
    130  with --watch: the run or this command was interrupted
    """
    from jobs.status import status_command
    from jobs.watch import watch_command

    if watch and (as_json or rows):
        raise typer.BadParameter("--watch goes with neither --json nor --rows")
    if watch:
        raise typer.Exit(watch_command(output, every_s=every, config_path=config))
    raise typer.Exit(status_command(output, as_json=as_json, rows=rows, config_path=config))


def report(
    output: Output,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OTHER",
            help="Compare row by row with the output of another run: a folder or URL.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the report to this folder or URL.",
            show_default="report/ in OUTPUT",
        ),
    ] = None,
    thumbnails: Annotated[
        str,
        typer.Option(
            metavar="N|all|none", help="Make thumbnails for the first N rows, all rows or none."
        ),
    ] = "1000",
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG",
            help="Use the storage options and the fetch policy of this YAML file.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a static page with the numbers and images of a run. Needs no cluster.

    Run it again to bring the page up to date.
    """
    from jobs.report import ReportRequest, report_command

    raise typer.Exit(
        report_command(ReportRequest(output, against, out, thumbnails, config, as_json))
    )


def pack(
    output: Output,
    layout: Annotated[
        LayoutName,
        typer.Option(
            metavar="LAYOUT",
            help=" ".join(f"{name}: {summary}." for name, summary in LAYOUT_SUMMARIES.items()),
        ),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the shards to this folder or URL.",
            show_default="LAYOUT/ in OUTPUT",
        ),
    ] = None,
    shard_images: Annotated[
        int, typer.Option(min=1, metavar="N", help="Put about N images into each shard.")
    ] = 500,
    skip_missing: Annotated[
        bool,
        typer.Option(
            "--skip-missing",
            help="Leave out rows whose images are missing or damaged, and list them.",
        ),
    ] = False,
    ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Pack only rows whose ids this file lists, as the report saves them. Needs --to.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Write shards in tasks of a Ray cluster: auto, HOST:PORT, or local, this machine.",
            show_default=False,
        ),
    ] = None,
    config: StorageConfig = None,
    as_json: AsJson = False,
) -> None:
    """Pack the images and records of a run into shards for other loaders. Needs no cluster.

    Run it again to bring the shards up to date: unchanged shards are kept.
    """
    from jobs.pack import PackCommand, pack_command

    if ids is not None and to is None:
        # The dataset of all rows, which OUTPUT may hold, would become one of these rows.
        raise typer.BadParameter("needs --to FOLDER, a folder of its own", param_hint="--ids")
    command = PackCommand(output, layout, to, shard_images, skip_missing, config, as_json, ids, ray)
    raise typer.Exit(pack_command(command))


def score(
    output: Output,
    scores: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Names of scores, with commas between them. Default: those of --config, or all "
            "that need no weights.",
            show_default=False,
        ),
    ] = None,
    config: StorageConfig = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also measure images that have the scores.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the images of an output, and add the scores to its records. Draws nothing.

    Reads the images and their references. Run it again if it was interrupted.

    Exit codes:
    0  measured
    1  another driver took over the output, or a store failed
    2  the output or a score cannot be used, or a run uses the output
    """
    from jobs.score import ScoreCommand, score_command

    raise typer.Exit(score_command(ScoreCommand(output, scores, config, again, as_json)))


def prune(
    output: Output,
    config: ConfigFile,
    overrides: Overrides = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them.")] = False,
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="List at most N of the records.")
    ] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with all ids, instead of text.")
    ] = False,
) -> None:
    """Remove the records and images of rows that are no longer in the manifest.

    Without --yes, only lists them. Reads the whole manifest, whatever manifest.limit,
    manifest.ids and manifest.shard say. Run it again if it was interrupted.

    Exit codes:
    0  listed, or removed
    1  another driver took over the output
    2  the configuration, the manifest or the output cannot be used, or a run uses the output
    """
    from jobs.prune import PruneCommand, prune_command

    command = PruneCommand(output, config, overrides or [], yes, rows, as_json)
    raise typer.Exit(prune_command(command))
