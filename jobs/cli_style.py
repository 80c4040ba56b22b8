"""Options of `uso style`.

The module that does the work is imported when a command runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli_model import Base, ModelParts
from jobs.option_groups import with_option_groups
from jobs.options import AsJson

style = typer.Typer(
    no_args_is_help=True, help="Keep styles under names, for the column style of a manifest."
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the style.")]
_Library = Annotated[
    str | None,
    typer.Option(
        "--library",
        metavar="URL",
        help="Folder or URL of the library. Default: manifest.style_library of --config, or the "
        "folder styles.",
        show_default=False,
    ),
]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="CONFIG",
        help="Use the library and the storage options of this YAML file; to add a style, its model "
        "and its settings of fetches, too.",
        show_default=False,
    ),
]


@style.command()
@with_option_groups
def add(
    name: _Name,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Images: paths or URIs.")],
    base: Base,
    parts: ModelParts,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="The share of each image in the mean, in order. Default: the same for each.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Licence of the images.", show_default=False),
    ] = None,
    library: _Library = None,
    config: _Config = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a style of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encode images as a style: the weighted mean of their tokens.

    Give --config for the model of a run, or the options of the model.

    Exit codes:
    0  added
    2  an image, the model or the library cannot be used, or the name is taken
    """
    from jobs.style import AddCommand, Where, add_command

    command = AddCommand(
        name=name,
        images=tuple(images),
        weights=weights,
        licence=licence,
        model={**asdict(base), **asdict(parts)},
        force=force,
        as_json=as_json,
    )
    raise typer.Exit(add_command(command, Where(library, config)))


@style.command("list")
def list_styles(library: _Library = None, config: _Config = None, as_json: AsJson = False) -> None:
    """List the styles of a library.

    Exit codes:
    0  listed
    2  a file of the library, or all of it, cannot be read; the other styles are listed
    """
    from jobs.style import Where, list_command

    raise typer.Exit(list_command(Where(library, config), as_json=as_json))


@style.command()
def show(
    name: _Name,
    library: _Library = None,
    config: _Config = None,
    thumbnails: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Write the thumbnails of its images to this folder, too.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the facts about a style."""
    from jobs.style import Where, show_command

    raise typer.Exit(show_command(name, Where(library, config), thumbnails, as_json=as_json))


@style.command()
def remove(name: _Name, library: _Library = None, config: _Config = None) -> None:
    """Remove a style. Rows that name it are rejected from then on; their images stay."""
    from jobs.style import Where, remove_command

    raise typer.Exit(remove_command(name, Where(library, config)))
