"""The models that one pipeline consists of, as they are after loading."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from diffusers.models.transformers.transformer_flux import FluxPosEmbed
from torch import nn
from transformers import (
    CLIPTextModel,
    CLIPTokenizer,
    PreTrainedTokenizerBase,
    SiglipImageProcessorPil,
    SiglipVisionModel,
    T5EncoderModel,
)

from uso_core.model.style_projector import StyleProjector
from uso_core.request import Limits


@dataclass(frozen=True, kw_only=True)
class Components:
    """Everything a `USOPipeline` draws with. All modules are on one device, in eval mode.

    Attributes:
        transformer: with the LoRA merged, and without its embedders (see `hoist_embedders`).
        context_embedder: [B, L, 4096] text to [B, L, 3072], taken out of `transformer`.
        pos_embed: ids [L, 3] to the rotary (cos, sin), taken out of `transformer`.
        time_text_embed: times [N], where `is_guided` guidance [N], and pooled text [N, 768] to
            [N, 3072], taken out of `transformer`.
        vae: its config holds the shift and scale of the latents.
        style_projector: SigLIP features to tokens of the transformer's width.
        text_encoder: CLIP; only its pooled output is used.
        text_encoder_2: T5.
        tokenizer: CLIP's.
        tokenizer_2: T5's.
        image_encoder: SigLIP.
        image_processor: SigLIP's, of the PIL backend: torchvision's resize differs by up to 15
            levels from what the weights were trained with.
        limits: the ranges that this checkpoint accepts.
    """

    transformer: FluxTransformer2DModel
    context_embedder: nn.Linear
    pos_embed: FluxPosEmbed
    time_text_embed: nn.Module
    vae: AutoencoderKL
    style_projector: StyleProjector
    text_encoder: CLIPTextModel
    text_encoder_2: T5EncoderModel
    tokenizer: CLIPTokenizer
    tokenizer_2: PreTrainedTokenizerBase
    image_encoder: SiglipVisionModel
    image_processor: SiglipImageProcessorPil
    limits: Limits

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the transformer computes in."""
        return self.context_embedder.weight.dtype

    @property
    def device(self) -> torch.device:
        """The device that the models are on."""
        return self.context_embedder.weight.device

    @property
    def is_guided(self) -> bool:
        """Whether the transformer takes a guidance scale: FLUX.1-dev does, schnell does not."""
        return bool(self.transformer.config.guidance_embeds)

    @property
    def text_tokens(self) -> int:
        """T5 tokens of a prompt, padded: FLUX.1-dev was trained with 512, schnell with 256."""
        return 512 if self.is_guided else 256


def hoist_embedders(
    transformer: FluxTransformer2DModel,
) -> tuple[nn.Linear, FluxPosEmbed, nn.Module]:
    """Take out of `transformer` the embedders whose results can be made before the first step.

    Afterwards its forward, which is diffusers' own, takes embedded tokens as
    `encoder_hidden_states`, rows of `rotary_rows` as `txt_ids` and `img_ids`, and a row of
    `step_embeddings` as `pooled_projections`; `guidance` is to be None. All can then be made once
    for a request, and style tokens can stand among the embedded text tokens.

    Returns:
        `context_embedder`, `pos_embed` and `time_text_embed`.

    Raises:
        TypeError: they were taken out before.
    """
    embedders = (
        transformer.context_embedder,
        transformer.pos_embed,
        transformer.time_text_embed,
    )
    if isinstance(transformer.context_embedder, nn.Identity):
        raise TypeError("the embedders of this transformer were taken out before")
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
    """What modulates the blocks, for all steps at once.

    Args:
        time_text_embed: as `hoist_embedders` returned it.
        sigmas: [N], float32, from 1 to 0.
        guidance: [B], float32: distilled guidance scales; None: the model takes none.
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
    """The rotary embedding of each position, in the form that a hoisted transformer takes for ids.

    Args:
        pos_embed: as `hoist_embedders` returned it.
        ids: [L, 3].

    Returns:
        [L, 2 * head_dim], float32: the cosines, then the sines.
    """
    return torch.cat(pos_embed(ids), dim=-1)


class _SplitRotary(nn.Module):
    """Stands where the transformer computes rotary embeddings: here they come in ready-made."""

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cos, sin = rows.chunk(2, dim=-1)
        return cos, sin


class _ReadyEmbedding(nn.Module):
    """Stands where the transformer embeds time and text: here the embedding comes in ready-made."""

    def forward(self, _timestep: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        return embedding
