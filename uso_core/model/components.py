"""The loaded models that make up one pipeline."""

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
    """All models of a `USOPipeline`, on one device and in eval mode.

    Attributes:
        transformer: FLUX with the LoRA merged and the embedders removed (see `hoist_embedders`).
        context_embedder: maps text [B, L, 4096] to [B, L, 3072]; taken out of `transformer`.
        pos_embed: maps ids [L, 3] to rotary (cos, sin); taken out of `transformer`.
        time_text_embed: maps times [N], pooled text [N, 768] and, if `is_guided`, guidance [N] to
            [N, 3072]; taken out of `transformer`.
        vae: its config holds the shift and scale of the latents.
        style_projector: maps SigLIP features to tokens of the transformer's width.
        text_encoder: CLIP; only its pooled output is used.
        text_encoder_2: T5.
        tokenizer: CLIP's tokenizer.
        tokenizer_2: T5's tokenizer.
        image_encoder: SigLIP.
        image_processor: SigLIP's, with the PIL backend: torchvision's resize differs by up to 15
            levels from the one that the weights were trained with.
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
        """The device that the models run on."""
        return self.context_embedder.weight.device

    @property
    def is_guided(self) -> bool:
        """True if the transformer takes a guidance scale: FLUX.1-dev does, schnell does not."""
        return bool(self.transformer.config.guidance_embeds)

    @property
    def text_tokens(self) -> int:
        """T5 tokens of a padded prompt, as in training: 512 for FLUX.1-dev, 256 for schnell."""
        return 512 if self.is_guided else 256
