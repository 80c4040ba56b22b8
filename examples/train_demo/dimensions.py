"""Sizes of the transformer, and functions of them alone."""

from __future__ import annotations

import math

import torch

HEADS, HEAD = 6, 32
WIDTH = HEADS * HEAD
DOUBLE, SINGLE = 2, 3
LATENT = 64
PLACE = 8
"""Channels after those of the latents: cosine and sine of the rows and columns, at two rates."""
SPARE = 3
"""Last channels, which stay 0; the export needs them to undo the last norm."""
AXES = (4, 14, 14)
LATENT_SCALE = 0.5
TEXT_TOKENS = 512
TEXT_WIDTH, POOLED = 32, 32
VOCABULARY = 384
ALIGNED = 2
"""Heads of each single block that start by looking at the same place of the content."""
RATES = [10000 ** (-2 * index / AXES[1]) for index in range(AXES[1] // 2)]
TIME_HIDDEN = WIDTH - 48
"""The export needs 48 hidden units of the time's embedder for 1 / sigma."""
_CAPABLE = torch.cpu.get_capabilities()
_HAS_BFLOAT16 = bool(_CAPABLE["amx_bf16"] or _CAPABLE["avx512_bf16"])
DTYPE = torch.bfloat16 if _HAS_BFLOAT16 else torch.float32
"""Of the blocks in training: without instructions for bfloat16, a CPU is six times slower in it."""


def autocast() -> torch.autocast:
    """Return a context in which layers compute in `DTYPE`."""
    return torch.autocast("cpu", torch.bfloat16, enabled=_HAS_BFLOAT16)


def place_of(rows: int, columns: int) -> torch.Tensor:
    """Return what the channels `PLACE` say, [PLACE]."""
    angles = [side * rate for side in (rows, columns) for rate in RATES[:2]]
    return torch.tensor([part(angle) for angle in angles for part in (math.cos, math.sin)])


def sinusoid(values: torch.Tensor) -> torch.Tensor:
    """Return diffusers' embedding of times, [B, 256]."""
    rates = torch.exp(-math.log(10000) * torch.arange(128) / 128)
    angles = values[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def pairs_first() -> torch.Tensor:
    """Return, for each channel of a head here, its channel in FLUX, which turns neighbours.

    Here the first half of a head is turned with the second.
    """
    return torch.cat([torch.arange(0, HEAD, 2), torch.arange(1, HEAD, 2)])
