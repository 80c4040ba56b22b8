"""`uso generate`: one image from the command line, without Ray and without a manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jobs import exits, screen
from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.config.output import OutputConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.storage.local_files import write_file
from pipelines.storage.urls import is_uri
from pipelines.worker.image_store import encode_image
from uso_core.errors import UsoError
from uso_core.loading.source import describe_model
from uso_core.request import Parameters, StylizedImage, StylizeRequest

_FORMATS: dict[str, Literal["png", "webp", "jpeg"]] = {
    ".png": "png",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}


@dataclass(frozen=True, kw_only=True)
class References:
    """What the image is made from.

    Attributes:
        prompt: may be empty.
        content: a path or URI; None: there is none.
        styles: paths or URIs, in order.
        weights: of each style; empty: 1 for each.
    """

    prompt: str
    content: str | None
    styles: tuple[str, ...]
    weights: tuple[float, ...] = ()


def generate_command(
    model: ModelConfig, references: References, parameters: Parameters, out: Path
) -> int:
    """Draw one image, write it to `out`, and return the exit code."""
    console = screen.err()
    with exits.exit_on_error(UsoError, RowFailedError, OSError):
        if out.suffix.lower() not in _FORMATS:
            exits.say_error(f"--out {out}: give a name that ends in {', '.join(_FORMATS)}")
            return exits.WRONG_INPUT
        request = _request(references, parameters)
        if not any(map(is_uri, model.locations)):  # what is at a URL has to be pulled first
            request.check(describe_model(model.source).limits)
        image = _draw(model, request, console)
        _write(image, out)
    wrote = f"wrote {screen.one_line(str(out))}: {_size(image)}, seed {image.seed}"
    screen.out().print(wrote, soft_wrap=True)
    if image.prompt_truncated:
        console.print("the prompt is longer than 512 tokens; its end was not used")
    return exits.DONE


def _request(references: References, parameters: Parameters) -> StylizeRequest:
    """The request, with its images read the way a run reads them."""
    fetcher = Fetcher(FetchConfig(allow_private_networks=True))  # the URIs are the user's own
    content = None if references.content is None else fetcher.fetch(_uri(references.content))
    numbers = {field.name: getattr(parameters, field.name) for field in fields(Parameters)}
    return StylizeRequest(
        prompt=references.prompt,
        content_image=content,
        style_images=[fetcher.fetch(_uri(style)) for style in references.styles],
        style_weights=references.weights or None,
        **numbers,
    )


def _draw(model: ModelConfig, request: StylizeRequest, console: Console) -> StylizedImage:
    # Imported late: it takes seconds, and a wrong reference is told before.
    from pipelines.worker.loading import load_pipeline  # noqa: PLC0415
    from pipelines.worker.spec import StylizerSpec  # noqa: PLC0415

    spec = StylizerSpec(
        model=model,
        fetch=FetchConfig(),
        output=OutputConfig(path="."),
        storage={},
        torch_threads=os.cpu_count() or 1,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("loading the model", total=None)
        pipeline = load_pipeline(spec)
        pipeline.prepare(request)  # says what is wrong with it before anything is drawn
        progress.update(task, description="drawing", total=request.num_steps)
        return pipeline(
            [request], on_step=lambda done, _total: progress.update(task, completed=done)
        )[0]


def _write(image: StylizedImage, out: Path) -> None:
    config = OutputConfig(path=str(out.parent), format=_FORMATS[out.suffix.lower()])
    write_file(out, encode_image(image.image, config))


def _uri(reference: str) -> str:
    """An absolute path or the URI as it is."""
    return reference if is_uri(reference) else str(Path(reference).expanduser().resolve())


def _size(image: StylizedImage) -> str:
    return f"{image.image.width}x{image.image.height}"
