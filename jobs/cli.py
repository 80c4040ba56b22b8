"""The `uso` command line: what can be typed, and which module does it.

A command's module is imported when the command runs: torch and Ray take seconds to import, and
`uso --help` must answer at once.
"""

from __future__ import annotations

from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from jobs import screen

app = typer.Typer(
    name="uso",
    help="USO for whole datasets: a manifest of prompts and reference images goes in, stylized "
    "images and one record per row come out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Device(str, Enum):
    """Choices of --device."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Pair(str, Enum):
    """Choices of --pair."""

    GRID = "grid"
    ZIP = "zip"
    RANDOM = "random"


ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The run's YAML file.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one key of the configuration, e.g. stylize.actors=4. Repeatable.",
        show_default=False,
    ),
]


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


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Read only the first so many rows.", show_default=False),
    ] = None,
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

    values = list(overrides or [])
    if limit is not None:
        values.append(f"manifest.limit={limit}")
    if retry_failed:
        values.append("on_error.retry_failed=true")
    raise typer.Exit(run_command(config, values, verbose=verbose))


@app.command()
def describe(config: ConfigFile, overrides: Overrides = None) -> None:
    """Show what a run would do: stages, actors, resources, schemas. Starts nothing."""
    from jobs.describe import describe_command

    raise typer.Exit(describe_command(config, overrides or []))


@app.command()
def status(
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="The output folder or URL of a run.", show_default=False
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    rows: Annotated[
        int, typer.Option(min=0, metavar="N", help="Print the first N records, too.")
    ] = 0,
    config: Annotated[
        Path | None,
        typer.Option(help="Take the storage options of this file.", show_default=False),
    ] = None,
) -> None:
    """Count an output's records. Needs no cluster, and works while a run goes on."""
    from jobs.status import status_command

    raise typer.Exit(status_command(output, as_json=as_json, rows=rows, config_path=config))


@app.command()
def report(
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="The output folder or URL of a run.", show_default=False
        ),
    ],
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


@app.command()
def generate(
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="The image to write.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option(help="FLUX.1-dev: a hub id, folder or URL; or tiny.")
    ] = "black-forest-labs/FLUX.1-dev",
    uso: Annotated[
        str, typer.Option(help="The USO weights, where --model does not hold them.")
    ] = "bytedance-research/USO",
    siglip: Annotated[
        str, typer.Option(help="The SigLIP encoder, likewise.")
    ] = "google/siglip-so400m-patch14-384",
    device: Annotated[Device, typer.Option(help="What to draw on.")] = Device.AUTO,
    prompt: Annotated[str, typer.Option(help="Empty keeps the content image's layout.")] = "",
    content: Annotated[
        str | None, typer.Option(help="The content image: a path or URI.", show_default=False)
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(help="A style image: a path or URI. Repeatable.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    steps: Annotated[int, typer.Option(help="Euler steps.")] = 25,
    guidance: Annotated[float, typer.Option(help="Guidance scale.")] = 4.0,
    width: Annotated[
        int | None, typer.Option(help="In pixels.", show_default="as --content, else 1024")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="In pixels.", show_default="as --content, else 1024")
    ] = None,
    keep_size: Annotated[
        bool, typer.Option("--keep-size", help="Take the size from the content image.")
    ] = False,
    content_long_size: Annotated[
        int, typer.Option(help="Long side, in pixels, to which the content image is resized.")
    ] = 512,
) -> None:
    """Draw one image, without Ray and without a manifest."""
    from jobs.generate import References, generate_command
    from pipelines.config.schema import ModelConfig
    from uso_core.request import Parameters

    parameters = Parameters(
        width=width,
        height=height,
        num_steps=steps,
        guidance=guidance,
        seed=seed,
        keep_size=keep_size,
        content_long_size=content_long_size,
    )
    references = References(prompt=prompt, content=content, styles=tuple(style or ()))
    weights = ModelConfig(base=model, uso=uso, siglip=siglip, device=device.value)
    raise typer.Exit(generate_command(weights, references, parameters, out))


@app.command()
def tiny(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Where to.", show_default=False)
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of the random weights.")] = 0,
) -> None:
    """Write a tiny random model, in the original's file formats. It draws noise."""
    from jobs.tiny import tiny_command

    raise typer.Exit(tiny_command(folder, seed))


@app.command()
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
    config: Annotated[
        Path | None,
        typer.Option(help="Take the storage options of this file.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Make a manifest from images, styles and prompts, from a table, or from failed rows."""
    from jobs.manifest import (
        Combination,
        FailedSource,
        Source,
        TableSource,
        Target,
        manifest_command,
    )
    from pipelines.compose.pairing import RandomStyles

    parts = bool(content or style or prompt or prompts)
    if parts + bool(table) + bool(failed) != 1:
        raise typer.BadParameter(
            "give images, styles or prompts, or --from, or --failed: one of the three"
        )
    if failed is not None:
        source: Source = FailedSource(failed, code or ())
    elif table:
        source = TableSource(table, column or (), base_uri)
    else:
        choice = RandomStyles(styles_per_content, seed)
        source = Combination(content or (), style or (), prompt or (), prompts, pair.value, choice)
    raise typer.Exit(manifest_command(source, Target(out, force, config or failed)))


@app.command()
def validate(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Read only the first so many rows.", show_default=False),
    ] = None,
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
    values = list(overrides or [])
    if limit is not None:
        values.append(f"manifest.limit={limit}")
    raise typer.Exit(validate_command(config, values, fetch=fetch, problems=problems))


@app.command()
def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Read only the first so many rows.", show_default=False),
    ] = None,
    price_per_gpu_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Say what the run costs, too.", show_default=False),
    ] = None,
) -> None:
    """Say what a run will take: rows, arithmetic, time, GPU-hours, storage. Starts nothing."""
    from jobs.plan import plan_command

    values = list(overrides or [])
    if limit is not None:
        values.append(f"manifest.limit={limit}")
    raise typer.Exit(plan_command(config, values, price_per_gpu_hour=price_per_gpu_hour))


def main() -> None:
    """Run the command line; the console script's entry point."""
    app()


if __name__ == "__main__":
    main()
