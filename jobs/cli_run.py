"""What `uso run`, `describe`, `plan`, `status`, `report` and `pack` take.

A command's module is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from jobs.options import ConfigFile, Limit, Output, Overrides, StorageConfig, with_limit


class PackedLayout(str, Enum):
    """Choices of --layout."""

    WEBDATASET = "webdataset"
    PARQUET = "parquet"


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Limit = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try rows again whatever they failed with.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Draw the images of a manifest; run it again to go on, or to do what is missing.

    Exit codes: 0 done within the failure budget, 1 the run failed, 2 wrong configuration or
    manifest, 3 done but over the failure budget, 130 interrupted.
    """
    from jobs.run import run_command

    values = with_limit(overrides, limit)
    if retry_failed:
        values.append("on_error.retry_failed=true")
    raise typer.Exit(run_command(config, values, verbose=verbose))


def describe(config: ConfigFile, overrides: Overrides = None) -> None:
    """Show what a run would do: stages, actors, resources, schemas. Starts nothing."""
    from jobs.describe import describe_command

    raise typer.Exit(describe_command(config, overrides or []))


def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Limit = None,
    price_per_gpu_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Say what the run costs, too.", show_default=False),
    ] = None,
) -> None:
    """Say what a run will take: rows, arithmetic, time, GPU-hours, storage. Starts nothing."""
    from jobs.plan import plan_command

    values = with_limit(overrides, limit)
    raise typer.Exit(plan_command(config, values, price_per_gpu_hour=price_per_gpu_hour))


def status(
    output: Output,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Print the first N records, too.")
    ] = 0,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until the run has ended, and exit as it does.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often --watch looks.")
    ] = 5,
    config: StorageConfig = None,
) -> None:
    """Count an output's records. Needs no cluster, and works while a run goes on.

    Exit codes of --watch: 0 the run is completed, 1 it failed or its driver was killed, 130 it was
    interrupted.
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
            help="The output of another run, to compare with row by row.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where to.", show_default="report/ in OUTPUT"),
    ] = None,
    thumbnails: Annotated[
        str,
        typer.Option(metavar="N|all|none", help="Rows whose pictures get thumbnails."),
    ] = "1000",
    config: Annotated[
        Path | None,
        typer.Option(
            help="Take the storage options and the fetch policy of this file.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a page with a run's numbers and pictures. Needs no cluster; safe to run again."""
    from jobs.report import ReportRequest, report_command

    raise typer.Exit(report_command(ReportRequest(output, against, out, thumbnails, config)))


def pack(
    output: Output,
    layout: Annotated[
        PackedLayout,
        typer.Option(help="Tar shards for WebDataset, or Parquet with the images inside."),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Where to: a folder or URL.", show_default="LAYOUT/ in OUTPUT"
        ),
    ] = None,
    shard_images: Annotated[int, typer.Option(min=1, help="Images per shard, about.")] = 500,
    config: StorageConfig = None,
) -> None:
    """Put a run's images and records into shards that other loaders open. Needs no cluster.

    Run it again to bring the shards up to date: only those that have changed are written.
    """
    from jobs.pack import PackCommand, pack_command

    raise typer.Exit(pack_command(PackCommand(output, layout.value, to, shard_images, config)))
