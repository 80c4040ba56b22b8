"""What `uso generate` and `uso tiny` take.

A command's module is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from uso_core.presets import PresetName


class Device(str, Enum):
    """Choices of --device."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


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
    preset: Annotated[
        PresetName, typer.Option(help="How pictures are traded for speed or memory.")
    ] = "exact",
    prompt: Annotated[str, typer.Option(help="Empty keeps the content image's layout.")] = "",
    content: Annotated[
        str | None, typer.Option(help="The content image: a path or URI.", show_default=False)
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(help="A style image: a path or URI. Repeatable.", show_default=False),
    ] = None,
    style_weight: Annotated[
        list[float] | None,
        typer.Option(
            help="What a style's tokens are multiplied by, 0 to 2: once for each --style.",
            show_default="1 for each",
        ),
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
    from pydantic import ValidationError

    from jobs.generate import References, generate_command
    from pipelines.config.model import ModelConfig
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
    references = References(
        prompt=prompt,
        content=content,
        styles=tuple(style or ()),
        weights=tuple(style_weight or ()),
    )
    try:
        weights = ModelConfig(
            base=model, uso=uso, siglip=siglip, device=device.value, preset=preset
        )
    except ValidationError as error:  # of a preset and a device that do not go together
        reasons = [str(detail["ctx"]["error"]) for detail in error.errors()]
        raise typer.BadParameter("; ".join(reasons), param_hint="--preset") from error
    raise typer.Exit(generate_command(weights, references, parameters, out))


def tiny(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Where to.", show_default=False)
    ],
    seed: Annotated[int, typer.Option(min=0, help="Of the random weights.")] = 0,
) -> None:
    """Write a tiny random model, in the original's file formats. It draws noise."""
    from jobs.tiny import tiny_command

    raise typer.Exit(tiny_command(folder, seed))
