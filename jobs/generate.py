"""`uso generate`: generates one image, without Ray and without a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jobs import exits, terminal
from pipelines.config.http import ENVIRONMENT, HttpConfig
from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.formats import FORMAT_BY_SUFFIX, ImageEncoding, can_write
from pipelines.recipe import Recipe
from pipelines.storage.local_files import write_file
from pipelines.storage.urls import is_uri, redact_uri
from uso_core.errors import UsoError
from uso_core.families import describe_model
from uso_core.local_path import local_path
from uso_core.request import Limits, StylizedImage, StylizeRequest


def generate_command(
    model: ModelConfig,
    row: Mapping[str, Any],
    out: Path,
    *,
    recipe: bool = True,
    as_json: bool = False,
) -> int:
    """Generate one image, write it to `out`, and return the exit code.

    Args:
        model: the weights, the device and the preset.
        row: the fields of a `StylizeRequest`, with references as paths or URIs.
        out: an image file; its ending sets the format.
        recipe: store the inputs in the file's metadata.
        as_json: print one JSON document instead of text.
    """
    console, out = terminal.err(), local_path(out)
    with exits.exit_on_error(UsoError, RowFailedError, OSError):
        if out.suffix.lower() not in FORMAT_BY_SUFFIX:
            exits.print_error(
                f"--out {out}: give a name that ends in {', '.join(FORMAT_BY_SUFFIX)}"
            )
            return exits.WRONG_INPUT
        card = None
        if not any(map(is_uri, model.locations)):  # files at a URL are pulled later
            card = describe_model(model.source)
        limits = Limits() if card is None else card.limits
        request = _request(limits.defaults | {k: v for k, v in row.items() if v is not None})
        if card is not None:
            request.check(limits)
        name = redact_uri(model.base) if card is None else card.name
        image = _generate(model, request, console)
        text = _recipe(image, request, row, name, model.preset) if recipe else None
        encoding = ImageEncoding(FORMAT_BY_SUFFIX[out.suffix.lower()])
        if not can_write(encoding.format):
            exits.print_error(
                f"--out {out}: the Pillow of this machine cannot write {encoding.format}; install "
                "a wheel of Pillow from PyPI, or give another ending"
            )
            return exits.WRONG_INPUT
        write_file(out, encoding.encode(image.image, text))
    if as_json:
        terminal.print_json(
            {
                "path": str(out),
                "width": image.image.width,
                "height": image.image.height,
                "seed": image.seed,
                "model": name,
                "prompt_truncated": image.prompt_truncated,
            }
        )
        return exits.DONE
    wrote = f"wrote {terminal.one_line(str(out))}: {_size(image)}, seed {image.seed}"
    terminal.out().print(wrote, soft_wrap=True)
    if image.prompt_truncated:
        console.print("the prompt is longer than 512 tokens; the end was cut off")
    return exits.DONE


def _request(row: Mapping[str, Any]) -> StylizeRequest:
    """Return the request for a row, with its images fetched as a run fetches them."""
    http = HttpConfig(proxy=ENVIRONMENT)
    fetcher = Fetcher(FetchConfig(allow_private_networks=True, http=http))  # the user gave the URIs
    content, styles = row.get("content_image"), row.get("style_images") or ()
    references = {
        "content_image": None if content is None else fetcher.fetch(_uri(content)),
        "style_images": [fetcher.fetch(_uri(style)) for style in styles],
    }
    return StylizeRequest(**{**row, **references})


def _generate(model: ModelConfig, request: StylizeRequest, console: Console) -> StylizedImage:
    # Imported late: torch takes seconds to load, and a wrong reference ends the command first.
    from pipelines.worker.loading import load_pipeline  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("loading the model", total=None)
        pipeline = load_pipeline(model, {}, os.cpu_count() or 1)
        pipeline.prepare(request)  # rejects a wrong request before any work on the image
        progress.update(task, description="generating", total=request.num_steps)
        return pipeline(
            [request], on_step=lambda done, _total: progress.update(task, completed=done)
        )[0]


def _recipe(
    image: StylizedImage, request: StylizeRequest, row: Mapping[str, Any], model: str, preset: str
) -> str:
    recipe = Recipe(
        prompt=request.prompt,
        seed=image.seed,
        num_steps=request.num_steps,
        guidance=request.guidance,
        width=image.image.width,
        height=image.image.height,
        model=model,
        preset=preset,
        content=row["content_image"] if request.content_long_size else None,
        content_long_size=request.content_long_size,
        styles=row["style_images"] or (),
        style_weights=request.style_weights,
    )
    return recipe.text()


def _uri(reference: str) -> str:
    """Return a URI unchanged, and a path as an absolute path."""
    return reference if is_uri(reference) else str(local_path(reference).resolve())


def _size(image: StylizedImage) -> str:
    return f"{image.image.width}x{image.image.height}"
