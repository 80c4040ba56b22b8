"""The encoders that a request's parts go through, each once: prompt, style, content."""

from __future__ import annotations

from dataclasses import dataclass

import ftfy
import torch
from PIL import Image

from uso_core.model.components import Components
from uso_core.model.geometry import pack
from uso_core.model.images import image_to_tensor
from uso_core.runtime.transfer import to_device

T5_TOKENS = 512  # of FLUX.1-dev; see `Components.text_tokens`
CLIP_TOKENS = 77


@dataclass(frozen=True, eq=False)
class TextEmbeds:
    """A prompt, encoded.

    Attributes:
        context: [1, 512, 3072]: T5's states after the transformer's context embedder.
        pooled: [1, 768]: CLIP's pooled output.
        truncated: the prompt was longer than 512 T5 tokens.
    """

    context: torch.Tensor
    pooled: torch.Tensor
    truncated: bool

    @property
    def nbytes(self) -> int:
        """Bytes on the device."""
        return self.context.nbytes + self.pooled.nbytes


def encode_text(components: Components, prompt: str) -> TextEmbeds:
    """Encode a prompt with T5 and CLIP.

    T5 gets no attention mask: its padding takes part, as FLUX was trained.
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
    """One style's tokens, [1, 192, 3072], from SigLIP's input, [1, 3, S, S]."""
    encoder, projector = components.image_encoder, components.style_projector
    on_device = to_device(pixels, components.device).to(encoder.dtype)
    outputs = encoder(on_device, output_hidden_states=True)
    hidden_states = tuple(states.to(projector.dtype) for states in outputs.hidden_states)
    tokens: torch.Tensor = projector(hidden_states)
    return tokens.to(components.dtype)


def encode_content(components: Components, image: Image.Image) -> torch.Tensor:
    """A content image's tokens, [1, H/16 * W/16, 64]: the mean of the VAE's posterior, packed.

    The original samples the posterior without a seed; the mean makes the picture depend on the
    request alone.
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
    # FLUX was trained with a CLIP tokenizer that let ftfy mend the text first.
    encoding = components.tokenizer(
        ftfy.fix_text(prompt),
        padding="max_length",
        max_length=CLIP_TOKENS,
        truncation=True,
        return_tensors="pt",
    )
    ids: torch.Tensor = encoding.input_ids
    return to_device(ids, components.device)
