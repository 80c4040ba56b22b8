"""Moves the embedders out of FLUX's transformer, so that they run once per image, not per step."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from diffusers.models.transformers.transformer_flux import FluxPosEmbed
from torch import nn


def hoist_embedders(
    transformer: FluxTransformer2DModel,
) -> tuple[nn.Linear, FluxPosEmbed, nn.Module]:
    """Take out of `transformer` the embedders whose results can be computed before the first step.

    The forward pass stays diffusers' own, but its arguments change: `encoder_hidden_states` are
    embedded tokens, `txt_ids` and `img_ids` are rows of `rotary_rows`, `pooled_projections` is one
    row of `step_embeddings`, and `guidance` is not passed. All of these can then be computed once
    per request, and style tokens can be placed among the embedded text tokens.

    Returns:
        `context_embedder`, `pos_embed` and `time_text_embed`.

    Raises:
        TypeError: the embedders have already been taken out.
    """
    embedders = (
        transformer.context_embedder,
        transformer.pos_embed,
        transformer.time_text_embed,
    )
    if isinstance(transformer.context_embedder, nn.Identity):
        raise TypeError("the embedders of this transformer have already been taken out")
    transformer.context_embedder = nn.Identity()
    transformer.pos_embed = _SplitRotary()
    transformer.time_text_embed = _ReadyEmbedding()
    return embedders


def step_embeddings(
    time_text_embed: nn.Module,
    sigmas: torch.Tensor,
    guidance: torch.Tensor | None,
    pooled: torch.Tensor,
) -> torch.Tensor:
    """Compute the embedding that modulates the blocks, for all steps at once.

    Args:
        time_text_embed: the embedder that `hoist_embedders` returned.
        sigmas: [N], float32, from 1 to 0.
        guidance: [B], float32, distilled guidance scales; None if the model takes no guidance.
        pooled: [B, 768].

    Returns:
        [N, B, 3072].
    """
    N, B, dtype = len(sigmas), len(pooled), pooled.dtype
    inputs = [(sigmas.to(dtype) * 1000).repeat_interleave(B)]
    if guidance is not None:
        inputs.append((guidance.to(dtype) * 1000).repeat(N))
    embeddings: torch.Tensor = time_text_embed(*inputs, pooled.repeat(N, 1))
    return embeddings.reshape(N, B, -1)


def rotary_rows(pos_embed: FluxPosEmbed, ids: torch.Tensor) -> torch.Tensor:
    """Compute the rotary embedding of each position, in the form that a hoisted transformer takes.

    Args:
        pos_embed: the embedder that `hoist_embedders` returned.
        ids: [L, 3].

    Returns:
        [L, 2 * head_dim], float32: the cosines, then the sines.
    """
    return torch.cat(pos_embed(ids), dim=-1)


class _SplitRotary(nn.Module):
    """Replaces the rotary embedder: takes precomputed rows and splits them into cos and sin."""

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cos, sin = rows.chunk(2, dim=-1)
        return cos, sin


class _ReadyEmbedding(nn.Module):
    """Replaces the time and text embedder: returns the precomputed embedding."""

    def forward(self, _timestep: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        return embedding
