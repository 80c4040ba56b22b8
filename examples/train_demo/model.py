"""The model as it is trained: style encoder, text encoders and transformer as one module."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from examples.train_demo.dimensions import (
    LATENT,
    POOLED,
    TEXT_TOKENS,
    WIDTH,
)
from examples.train_demo.prompts import Tokenizers
from examples.train_demo.start import initialise
from examples.train_demo.style_encoder import StyleEncoder
from examples.train_demo.transformer import Context, Transformer
from uso_core.loading.tiny_configs import TINY_CLIP
from uso_core.model.denoise import make_noise
from uso_core.model.geometry import pack
from uso_core.model.schedule import shift_mu
from uso_core.model.sizes import Size

CLIP = TINY_CLIP | {"hidden_size": POOLED}


class DemoModel(nn.Module):
    """Maps prompts, references and content latents to the latents of the finished picture.

    Args:
        tokenizers: read the prompts.
    """

    def __init__(self, tokenizers: Tokenizers) -> None:
        super().__init__()
        self.tokenizers = tokenizers
        self.style = StyleEncoder(WIDTH)
        self.clip = CLIPTextModel(CLIPTextConfig.from_dict(CLIP))
        self.transformer = Transformer()
        initialise(self.transformer)

    def context(
        self, prompts: list[str], styles: list[torch.Tensor], guidance: torch.Tensor
    ) -> Context:
        """Join tokens of styles, each [B, 24, WIDTH], with those of the prompts."""
        ids = self.tokenizers.t5(prompts)
        pooled = self.clip(input_ids=self.tokenizers.clip(prompts)).pooler_output
        tokens = torch.cat([*styles, self.transformer.text(ids)], dim=1)
        return Context(tokens, TEXT_TOKENS - ids.shape[1], pooled, guidance)

    @torch.no_grad()
    def draw(
        self,
        context: Context,
        content: torch.Tensor | None,
        size: tuple[int, int],
        steps: int,
        seed: int = 0,
    ) -> torch.Tensor:
        """Draw latents as tokens, [B, rows * columns, 64], with the pipeline's noise and steps.

        The first picture's noise has `seed`, the next one's `seed + 1`, and so on.
        """
        count, pixels = len(context.tokens), Size(size[1] * 16, size[0] * 16)
        cpu = torch.device("cpu")
        noises = [
            make_noise(seed + index, pixels, LATENT // 4, dtype=torch.float32, device=cpu)
            for index in range(count)
        ]
        noisy = pack(torch.cat(noises))
        sigmas = [*shifted(torch.linspace(1, 1 / steps, steps), size).tolist(), 0.0]
        for sigma, after in pairwise(sigmas):
            levels = torch.full((count,), sigma)
            finished, _ = self.transformer(noisy, content, levels, context, size)
            noisy = finished + (noisy - finished) * after / sigma
        return noisy


def shifted(sigmas: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Shift sigmas towards noise, as the pipeline does."""
    factor = float(torch.exp(torch.tensor(shift_mu(Size(size[1] * 16, size[0] * 16)))))
    return factor * sigmas / (1 + (factor - 1) * sigmas)
