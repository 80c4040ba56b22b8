"""Styles as tokens: encoded once, pooled over several images, kept, and placed in a request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from PIL import Image

from uso_core.errors import InvalidRequestError
from uso_core.model.components import Components
from uso_core.model.encoders import encode_style
from uso_core.model.inputs import style_pixels
from uso_core.request import EncodedStyle
from uso_core.runtime.transfer import to_device


def pooled_style(
    components: Components, images: Sequence[Image.Image], weights: Sequence[float]
) -> EncodedStyle:
    """Encode images as one style: the weighted mean of their tokens.

    Token i of each image is the same learned summary of its patches, so a mean has a meaning token
    by token. One image keeps its tokens to the bit, whatever its weight.

    Args:
        components: the models.
        images: at least one image, of any PIL mode.
        weights: the share of each image, above 0; only their ratios count.
    """
    encoded = [
        encode_style(components, style_pixels(image, components.image_processor))[0].cpu()
        for image in images
    ]
    if len(encoded) == 1:
        return as_encoded(encoded[0])
    shares = torch.tensor(weights, dtype=torch.float64)
    shares = (shares / shares.sum()).reshape(-1, 1, 1)
    mean = (torch.stack(encoded).double() * shares).sum(0)
    return as_encoded(mean.to(encoded[0].dtype))


def as_encoded(tokens: torch.Tensor) -> EncodedStyle:
    """Return tokens, `[tokens, width]`, with their hash."""
    tokens = tokens.detach().cpu().contiguous()
    return EncodedStyle(tokens=tokens, sha256=tokens_sha256(tokens))


def tokens_sha256(tokens: torch.Tensor) -> str:
    """Return the hash of tokens: of their type, their shape and their bytes, in hex."""
    digest = hashlib.sha256(f"{tokens.dtype} {list(tokens.shape)} ".encode())
    digest.update(tokens.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_encoded(components: Components, style: EncodedStyle, place: int) -> None:
    """Raise `InvalidRequestError` unless the tokens have the shape of the model's own."""
    config = components.style_projector.config
    accepted = [3 * config.style_token_nums, config.hidden_size]
    if list(style.tokens.shape) != accepted:
        raise InvalidRequestError(
            f"style_images[{place}]",
            list(style.tokens.shape),
            f"tokens of this model, of the shape {accepted}",
        )


def placed_style(components: Components, style: EncodedStyle) -> torch.Tensor:
    """Return the tokens of an encoded style as those of an image, [1, 192, 3072]."""
    return to_device(style.tokens, components.device).to(components.dtype)[None]
