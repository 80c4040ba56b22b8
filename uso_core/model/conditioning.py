"""Everything about a request that stays the same at every timestep."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from PIL import Image

from uso_core.model.cache import ByteBoundedCache
from uso_core.model.components import Components
from uso_core.model.encoders import TextEmbeds, encode_content, encode_style, encode_text
from uso_core.model.geometry import position_ids
from uso_core.model.hoisting import rotary_rows
from uso_core.model.inputs import BatchKey, PreparedRequest
from uso_core.model.style_tokens import placed_style
from uso_core.request import EncodedStyle
from uso_core.runtime.transfer import to_device


@dataclass(frozen=True, eq=False, kw_only=True)
class Conditioning:
    """The transformer's inputs for a request, other than the latents and the time.

    L = 192 * styles + 512 tokens of context, n tokens of output, m of content (0 without it).

    Attributes:
        context: [1, L, 3072]: the weighted tokens of the styles, in order, then those of the text.
        pooled: [1, 768].
        content: [1, m, 64].
        context_rotary: [L, 2 * head_dim], float32, from `rotary_rows`.
        image_rotary: [n + m, 2 * head_dim], float32, from `rotary_rows`.
        batch_key: the key that requests of one batch share.
        guidance: distilled guidance scale.
        prompt_truncated: True if the prompt was longer than 512 T5 tokens.
    """

    context: torch.Tensor
    pooled: torch.Tensor
    content: torch.Tensor
    context_rotary: torch.Tensor
    image_rotary: torch.Tensor
    batch_key: BatchKey
    guidance: float
    prompt_truncated: bool


def make_conditioning(
    components: Components, prepared: PreparedRequest, cache: ByteBoundedCache
) -> Conditioning:
    """Encode a request's prompt and images, or find them in `cache`, and place their tokens."""
    text = _text(components, prepared.prompt, cache)
    styles = [
        _weighted(_style(components, style, cache), weight)
        for style, weight in zip(prepared.styles, prepared.style_weights, strict=True)
    ]
    context = torch.cat([*styles, text.context], dim=1)
    batch_key = prepared.batch_key
    sizes = [batch_key.size] if batch_key.content is None else [batch_key.size, batch_key.content]
    if prepared.content is None:
        content = text.pooled.new_empty(1, 0, components.transformer.config.in_channels)
    else:
        content = _content(components, prepared.content, cache)
    context_ids = torch.zeros(context.shape[1], 3)
    return Conditioning(
        context=context,
        pooled=text.pooled,
        content=content,
        context_rotary=_rotary(components, [context_ids]),
        image_rotary=_rotary(components, position_ids(sizes)),
        batch_key=batch_key,
        guidance=prepared.guidance,
        prompt_truncated=text.truncated,
    )


def _text(components: Components, prompt: str, cache: ByteBoundedCache) -> TextEmbeds:
    return cache.get_or_make("prompts", prompt, lambda: encode_text(components, prompt))


def _style(
    components: Components, style: torch.Tensor | EncodedStyle, cache: ByteBoundedCache
) -> torch.Tensor:
    if isinstance(style, EncodedStyle):
        encoded = style
        return cache.get_or_make(
            "styles", encoded.sha256, lambda: placed_style(components, encoded)
        )
    pixels = style
    digest = hashlib.sha256(pixels.numpy().tobytes()).digest()
    return cache.get_or_make("styles", digest, lambda: encode_style(components, pixels))


def _weighted(tokens: torch.Tensor, weight: float) -> torch.Tensor:
    """Scale a style's tokens after the cache, so that a style is encoded once for all weights."""
    return tokens if weight == 1 else tokens * weight


def _content(components: Components, image: Image.Image, cache: ByteBoundedCache) -> torch.Tensor:
    digest = hashlib.sha256(image.tobytes()).digest()
    key = (image.size, digest)
    return cache.get_or_make("content images", key, lambda: encode_content(components, image))


def _rotary(components: Components, ids: list[torch.Tensor]) -> torch.Tensor:
    return rotary_rows(components.pos_embed, to_device(torch.cat(ids), components.device))
