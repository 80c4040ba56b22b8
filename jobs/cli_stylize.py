"""Options of `uso stylize`.

The module that does the work is imported when the command runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar, Literal

import typer

from jobs.cli_model import ModelParts
from jobs.option_groups import with_option_groups
from jobs.options import AsJson, RetryFailed, StorageConfig

# The default differs from that of `uso generate`.
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="FLUX.1-dev: a hub id, folder or URL; or a small model, which needs no download.",
        show_default="FLUX.1-dev if it was downloaded, else the small model",
        rich_help_panel="Model",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Options for the images."""

    PANEL: ClassVar[str] = "Images"

    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="What to draw; without it, each photograph keeps its layout. Repeatable: each "
            "photograph is drawn with each.",
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The seed of every image.",
            show_default="one for each image, the same at each run",
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps for each image.", show_default="25; small model: 4"),
    ] = None
    guidance: Annotated[
        float | None, typer.Option(metavar="X", help="Guidance scale.", show_default="4.0")
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH|N",
            help="Width and height in pixels, or one number for both.",
            show_default="as the photograph's shape",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Options for the files."""

    PANEL: ClassVar[str] = "Files"

    format: Annotated[
        Literal["png", "webp", "jpeg", "jpg", "avif"],
        typer.Option(metavar="FORMAT", help="png, webp, jpeg or avif."),
    ] = "png"
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Name the images by {content_stem}, {style_stem}, {folder:path}, {ending}, "
            "{seed}, {date} and more, as output.name does.",
            show_default="{folder:path}/{content_stem}__{style_stem}",
        ),
    ] = None
    flat: Annotated[
        bool, typer.Option("--flat", help="Leave out the folders of the photographs.")
    ] = False


@with_option_groups
def stylize(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...",
            help="Images: files, folders with their subfolders, globs, URLs (http, s3://, hf://).",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            help="The folder or URL for the images, their records and the report.",
            show_default=False,
        ),
    ],
    drawing: Drawing,
    naming: Naming,
    parts: ModelParts,
    model: BaseModel = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STYLES",
            help="Style images, given like PHOTOS. Repeatable: each photograph gets each style.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Make only the first N images.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Worker processes, by Ray; 0: none but this one.",
            show_default="one for each GPU; without a GPU, 0",
        ),
    ] = None,
    retry_failed: RetryFailed = False,
    config: StorageConfig = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be made, and make nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw every photograph in every style. Run it again to resume.

    Images get the names of their photographs and styles: a/b.jpg becomes a/b__starry-night.png in
    OUT/pictures. OUT also has one record for each image and a report; all other commands take it.

    Exit codes: those of uso run.
    """
    from jobs.stylize import StylizeCommand, stylize_command

    command = StylizeCommand(
        photos=photos,
        styles=style or [],
        out=out,
        drawing=drawing,
        naming=naming,
        model={"base": model, **asdict(parts)},
        limit=limit,
        workers=workers,
        retry_failed=retry_failed,
        config=config,
        as_json=as_json,
    )
    raise typer.Exit(stylize_command(command, dry_run=dry_run))
