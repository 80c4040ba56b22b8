"""The encoders, each run once per request: prompt, style images, content image."""

from __future__ import annotations

from dataclasses import dataclass

import ftfy
import torch
from PIL import Image

from uso_core.model.components import Components
from uso_core.model.geometry import pack
from uso_core.model.images import image_to_tensor
from uso_core.runtime.transfer import to_device

CLIP_TOKENS = 77


@dataclass(frozen=True, eq=False)
class TextEmbeds:
    """An encoded prompt.

    Attributes:
        context: [1, 512, 3072]: T5's states after the transformer's context embedder.
        pooled: [1, 768]: CLIP's pooled output.
        truncated: True if the prompt was longer than 512 T5 tokens.
    """

    context: torch.Tensor
    pooled: torch.Tensor
    truncated: bool

    @property
    def nbytes(self) -> int:
        """Bytes of device memory."""
        return self.context.nbytes + self.pooled.nbytes


def encode_text(components: Components, prompt: str) -> TextEmbeds:
    """Encode a prompt with T5 and CLIP.

    T5 gets no attention mask: its padding takes part, as it did when FLUX was trained.
    """
    t5_ids, truncated = _t5_ids(components, prompt)
    hidden = components.text_encoder_2(input_ids=t5_ids).last_hidden_state
    clip_ids = _clip_ids(components, prompt)
    pooled = components.text_encoder(input_ids=clip_ids).pooler_output
    return TextEmbeds(
        context=components.context_embedder(hidden.to(components.dtype)),
        pooled=pooled.to(components.dtype),
        truncated=truncated,
    )


def encode_style(components: Components, pixels: torch.Tensor) -> torch.Tensor:
    """Encode one style's SigLIP input, [1, 3, S, S], as tokens, [1, 192, 3072]."""
    encoder, projector = components.image_encoder, components.style_projector
    on_device = to_device(pixels, components.device).to(encoder.dtype)
    outputs = encoder(on_device, output_hidden_states=True)
    hidden_states = tuple(states.to(projector.dtype) for states in outputs.hidden_states)
    tokens: torch.Tensor = projector(hidden_states)
    return tokens.to(components.dtype)


def encode_content(components: Components, image: Image.Image) -> torch.Tensor:
    """Encode a content image as tokens, [1, H/16 * W/16, 64]: the VAE's posterior mean, packed.

    The original samples the posterior without a seed; with the mean, the generated image depends on
    the request alone.
    """
    vae = components.vae
    pixels = to_device(image_to_tensor(image), components.device).to(vae.dtype)
    mean = vae.encode(pixels).latent_dist.mean.float()
    latents = (mean - vae.config.shift_factor) * vae.config.scaling_factor
    return pack(latents).to(components.dtype)


def _t5_ids(components: Components, prompt: str) -> tuple[torch.Tensor, bool]:
    encoding = components.tokenizer_2(
        prompt,
        padding="max_length",
        max_length=components.text_tokens,
        truncation=True,
        return_overflowing_tokens=True,
        return_tensors="pt",
    )
    rows = encoding.input_ids
    return to_device(rows[:1], components.device), len(rows) > 1


def _clip_ids(components: Components, prompt: str) -> torch.Tensor:
    # FLUX was trained with a CLIP tokenizer that first cleaned the text with ftfy.
    encoding = components.tokenizer(
        ftfy.fix_text(prompt),
        padding="max_length",
        max_length=CLIP_TOKENS,
        truncation=True,
        return_tensors="pt",
    )
    ids: torch.Tensor = encoding.input_ids
    return to_device(ids, components.device)
