"""Options of `uso generate` and `uso tiny`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import typer

from jobs.option_groups import with_option_groups
from jobs.options import AsJson
from jobs.row_options import ROW_OPTIONS
from uso_core.presets import PresetName


@dataclass(frozen=True, kw_only=True)
class ModelParts:
    """Options for the parts of the model beside FLUX, and how it runs."""

    PANEL: ClassVar[str] = "Model"

    uso: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The USO weights: a hub id, folder or URL. Unused if --model holds them.",
        ),
    ] = "bytedance-research/USO"
    siglip: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="The SigLIP vision model: a hub id, folder or URL. Unused if --model holds it.",
        ),
    ] = "google/siglip-so400m-patch14-384"
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Run the model on this device; auto takes a GPU if there is one."),
    ] = "auto"
    preset: Annotated[
        PresetName,
        typer.Option(
            metavar="PRESET",
            help=f"Trade fidelity for speed or memory: {', '.join(get_args(PresetName))}.",
        ),
    ] = "exact"


@dataclass(frozen=True, kw_only=True)
class Base:
    """The option for FLUX."""

    PANEL: ClassVar[str] = "Model"

    base: Annotated[
        str,
        typer.Option(
            "--model", metavar="MODEL", help="FLUX.1-dev: a hub id, folder or URL; or demo."
        ),
    ] = "black-forest-labs/FLUX.1-dev"


@with_option_groups
def generate(
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="The image to write; its ending (.png, .webp, .jpg, .avif) sets the format.",
            show_default=False,
        ),
    ],
    row: Annotated[Mapping[str, Any], ROW_OPTIONS],
    base: Base,
    parts: ModelParts,
    recipe: Annotated[
        bool,
        typer.Option(
            "--recipe/--no-recipe",
            help="Store the prompt, the seed and the parameters in the file's metadata.",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Generate one image, without Ray and without a manifest."""
    from pydantic import ValidationError

    from jobs.generate import generate_command
    from pipelines.config.model import ModelConfig

    try:
        weights = ModelConfig(**asdict(base), **asdict(parts))
    except ValidationError as error:  # the device cannot run the preset
        reasons = [str(detail["ctx"]["error"]) for detail in error.errors()]
        raise typer.BadParameter("; ".join(reasons), param_hint="--preset") from error
    raise typer.Exit(generate_command(weights, row, out, recipe=recipe, as_json=as_json))


def tiny(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", file_okay=False, help="The folder to write.", show_default=False
        ),
    ],
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="The seed of the random weights.")
    ] = 0,
) -> None:
    """Write a tiny model with random weights, which generates noise.

    Its files have the formats of the original checkpoints.
    """
    from jobs.tiny import tiny_command

    raise typer.Exit(tiny_command(folder, seed))
