"""FLUX's transformer, written for training on a CPU; `export` writes it in the original's format.

It computes what `FluxTransformer2DModel` computes, in `DTYPE`, with three differences in its
parameters, none in the function that they can express:

- It estimates the finished latents, not the velocity. The noisy latents pass through 64 channels
  that no block writes to, so the velocity follows exactly: (noisy - finished) / sigma. The factor
  1 / sigma is a modulation of the last norm.
- 8 channels tell each token the rows and columns of the output. With them, some heads look at the
  same place of the content from the start, in any size.
- The padding of the text is one token with the weight of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from examples.train_demo import blocks
from examples.train_demo.blocks import Double, Single, rotary_angles
from examples.train_demo.dimensions import (
    DOUBLE,
    DTYPE,
    LATENT,
    LATENT_SCALE,
    PLACE,
    POOLED,
    SINGLE,
    SPARE,
    TEXT_WIDTH,
    TIME_HIDDEN,
    VOCABULARY,
    WIDTH,
    sinusoid,
)

_Shared = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Context:
    """Inputs that condition a batch.

    Attributes:
        tokens: [B, L, WIDTH]: tokens of the styles, then of the text.
        padding: text tokens that the last token stands for, besides itself.
        pooled: [B, POOLED].
        guidance: [B].
    """

    tokens: torch.Tensor
    padding: int
    pooled: torch.Tensor
    guidance: torch.Tensor


@dataclass(frozen=True)
class Notes:
    """Facts that are known after the double blocks.

    Attributes:
        place: the channels `PLACE` of all image tokens, [B, N, PLACE].
        swell: mean square of the context tokens. Left alone, one channel grows a thousandfold and
            drowns the style in the norms that follow.
    """

    place: torch.Tensor
    swell: torch.Tensor

    @classmethod
    def of(cls, img: torch.Tensor, txt: torch.Tensor) -> Notes:
        """Return the notes on tokens of the image and the context."""
        return cls(img[:, :, LATENT : LATENT + PLACE].float(), txt.float().pow(2).mean())


class Embedder(nn.Sequential):
    """Embeds a value as a vector [WIDTH]."""

    def __init__(self, inputs: int, hidden: int) -> None:
        first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, WIDTH)
        super().__init__(first, nn.SiLU(), last)

    @property
    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        """The two layers with weights."""
        return cast("nn.Linear", self[0]), cast("nn.Linear", self[2])


class Transformer(nn.Module):
    """Estimates finished latents; the embedders of text are parts of it.

    `start` gives a new one its weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(VOCABULARY, TEXT_WIDTH))
        self.table_scale = nn.Parameter(torch.ones(TEXT_WIDTH))
        self.context = nn.Linear(TEXT_WIDTH, WIDTH)
        self.start = nn.Parameter(0.3 * torch.randn(WIDTH - LATENT - SPARE))
        self.time = Embedder(256, TIME_HIDDEN)
        self.guidance = Embedder(256, WIDTH)
        self.pooled = Embedder(POOLED, WIDTH)
        doubles = nn.ModuleList(Double() for _ in range(DOUBLE))
        singles = nn.ModuleList(Single() for _ in range(SINGLE))
        self.double_blocks = cast("Sequence[Double]", doubles)
        self.single_blocks = cast("Sequence[Single]", singles)
        self.finished = nn.Linear(WIDTH - LATENT - SPARE, LATENT)

    def text(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed T5 pieces [B, L] as tokens; T5 is a table and a norm."""
        rows = self.table[ids]
        normed = rows * torch.rsqrt(rows.pow(2).mean(-1, keepdim=True) + 1e-6)
        tokens: torch.Tensor = self.context(normed * self.table_scale)
        return tokens

    def forward(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, Notes]:
        """Estimate finished latents.

        Args:
            noisy: [B, rows * columns, LATENT].
            content: the same shape, or None.
            sigma: [B], 0 to 1.
            context: see `Context`.
            size: rows and columns of tokens.

        Returns:
            The estimate, like `noisy`, and notes.
        """
        n, L = noisy.shape[1], context.tokens.shape[1]
        img, txt, shared = self._through_double(noisy, content, sigma, context, size)
        joined = torch.cat([txt, img], dim=1)
        for block in self.single_blocks:
            joined = blocks.single(block, joined, *shared)
        written = joined[:, L : L + n, LATENT : WIDTH - SPARE].float()
        return self.finished(written), Notes.of(img, txt)

    def places(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> Notes:
        """Return the second result of `forward` alone."""
        img, txt, _ = self._through_double(noisy, content, sigma, context, size)
        return Notes.of(img, txt)

    def _through_double(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor, _Shared]:
        img, txt, shared = self.embedded(noisy, content, sigma, context, size)
        for block in self.double_blocks:
            img, txt = blocks.double(block, img, txt, *shared)
        return img, txt, shared

    def embedded(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor, _Shared]:
        """Return image tokens, context tokens, and what all blocks share."""
        L = context.tokens.shape[1]
        images = noisy if content is None else torch.cat([noisy, content], dim=1)
        start = self.start.expand(*images.shape[:2], -1)
        img = functional.pad(torch.cat([images * LATENT_SCALE, start], dim=2), (0, SPARE)).to(DTYPE)
        txt = context.tokens.to(DTYPE)
        modulation = functional.silu(self._embed(sigma, context)).to(DTYPE)
        modulation = functional.pad(modulation[:, 1:], (1, 0))  # the first is for the export
        rotary = rotary_angles(size, L, has_content=content is not None)
        bias = torch.zeros(1, 1, L + images.shape[1], dtype=DTYPE)
        bias[..., L - 1] = math.log(context.padding + 1)
        return img, txt, (modulation, rotary, bias)

    def _embed(self, sigma: torch.Tensor, context: Context) -> torch.Tensor:
        time: torch.Tensor = self.time(sinusoid(sigma * 1000))
        guidance: torch.Tensor = self.guidance(sinusoid(context.guidance * 1000))
        pooled: torch.Tensor = self.pooled(context.pooled)
        return time + guidance + pooled
