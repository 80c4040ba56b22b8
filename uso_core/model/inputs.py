"""Request preparation on the CPU, without a model: validation, output size, encoder inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from transformers import SiglipImageProcessorPil

from uso_core.model.images import fit_content, to_rgb
from uso_core.model.sizes import Size, content_size, output_size
from uso_core.request import EncodedStyle, Limits, StylizeRequest


@dataclass(frozen=True)
class BatchKey:
    """The properties that requests must share to be generated as one batch.

    Attributes:
        size: output size, in pixels.
        content: size at which the content image is encoded, in pixels; None without one.
        styles: number of style images.
        num_steps: Euler steps.
    """

    size: Size
    content: Size | None
    styles: int
    num_steps: int


@dataclass(frozen=True, eq=False)
class PreparedRequest:
    """A valid request with its images prepared for the encoders.

    Attributes:
        prompt: the request's prompt, unchanged.
        size: output size, in pixels.
        num_steps: Euler steps.
        guidance: distilled guidance scale.
        content: RGB on the 16 px grid; None if there is no content image or it is not used.
        styles: SigLIP's input for each style, [1, 3, S, S] float32 on the CPU; or its tokens, for
            one that is encoded.
        style_weights: the factor for each style's tokens.
    """

    prompt: str
    size: Size
    num_steps: int
    guidance: float
    content: Image.Image | None
    styles: tuple[torch.Tensor | EncodedStyle, ...]
    style_weights: tuple[float, ...]

    @property
    def batch_key(self) -> BatchKey:
        """The key that requests of one batch share."""
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
    rgb = None if content is None else to_rgb(content, "content_image")
    return PreparedRequest(
        prompt=request.prompt,
        size=output_size(request, given, limits),
        num_steps=request.num_steps,
        guidance=request.guidance,
        content=None if rgb is None else fit_content(rgb, long_size),
        styles=tuple(
            style if isinstance(style, EncodedStyle) else style_pixels(style, image_processor)
            for style in request.style_images
        ),
        style_weights=_weights(request),
    )


def _weights(request: StylizeRequest) -> tuple[float, ...]:
    if request.style_weights is None:
        return (1.0,) * len(request.style_images)
    return tuple(request.style_weights)


def style_pixels(style: Image.Image, image_processor: SiglipImageProcessorPil) -> torch.Tensor:
    """Return SigLIP's input for a style image, [1, 3, S, S] float32 on the CPU."""
    rgb = to_rgb(style, "style_images")
    pixels: torch.Tensor = image_processor(rgb, return_tensors="pt").pixel_values
    return pixels
