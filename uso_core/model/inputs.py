"""What of a request needs no model: checks, the output's size, and the pixels that are encoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from transformers import SiglipImageProcessorPil

from uso_core.model.images import fit_content, to_rgb
from uso_core.model.sizes import Size, content_size, output_size
from uso_core.request import Limits, StylizeRequest


@dataclass(frozen=True)
class BatchKey:
    """What requests must have in common to be drawn as one batch.

    Attributes:
        size: of the output, in pixels.
        content: of the content image as it is encoded, in pixels; None: there is none.
        styles: how many.
        num_steps: Euler steps.
    """

    size: Size
    content: Size | None
    styles: int
    num_steps: int


@dataclass(frozen=True, eq=False)
class PreparedRequest:
    """A request that was found valid, with its images made ready for the encoders.

    Attributes:
        prompt: as it was given.
        size: of the output, in pixels.
        num_steps: Euler steps.
        guidance: distilled guidance scale.
        content: RGB on the 16 px grid; None: there is none, or it is left out.
        styles: [1, 3, S, S] float32 on the CPU, of each style: SigLIP's input.
        style_weights: what each style's tokens are multiplied by.
    """

    prompt: str
    size: Size
    num_steps: int
    guidance: float
    content: Image.Image | None
    styles: tuple[torch.Tensor, ...]
    style_weights: tuple[float, ...]

    @property
    def batch_key(self) -> BatchKey:
        """What it must have in common with others to be drawn with them."""
        content = None if self.content is None else Size(*self.content.size)
        return BatchKey(self.size, content, len(self.styles), self.num_steps)


def prepare(
    request: StylizeRequest, limits: Limits, image_processor: SiglipImageProcessorPil
) -> PreparedRequest:
    """Check a request and prepare its images. Uses the CPU only; safe to call from any thread.

    Raises:
        InvalidRequestError: a field is outside `limits`, or the content image is too narrow.
    """
    request.check(limits)
    long_size = request.content_long_size
    content = request.content_image if long_size else None
    given = None if content is None else Size(*content.size)
    if given is not None:
        content_size(given, long_size)
    return PreparedRequest(
        prompt=request.prompt,
        size=output_size(request, given, limits),
        num_steps=request.num_steps,
        guidance=request.guidance,
        content=None if content is None else fit_content(to_rgb(content), long_size),
        styles=tuple(_style_pixels(style, image_processor) for style in request.style_images),
        style_weights=_weights(request),
    )


def _weights(request: StylizeRequest) -> tuple[float, ...]:
    if request.style_weights is None:
        return (1.0,) * len(request.style_images)
    return tuple(request.style_weights)


def _style_pixels(style: Image.Image, image_processor: SiglipImageProcessorPil) -> torch.Tensor:
    pixels: torch.Tensor = image_processor(to_rgb(style), return_tensors="pt").pixel_values
    return pixels
