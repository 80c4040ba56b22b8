"""Models with FLUX.1-dev's dimensions, or the tiny model's, and random weights.

They are created on the device itself, so no file is read. Arithmetic and memory match the real
weights; the generated images mean nothing. The same seed gives the same weights on the same device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
)

from uso_core.loading.key_mapping import lora_targets
from uso_core.loading.lora import Lora
from uso_core.loading.model_configs import FLUX_DEV, transformer_arguments, vae_arguments
from uso_core.loading.tiny_configs import TINY_FLUX, TINY_LIMITS
from uso_core.model.components import Components
from uso_core.model.style_projector import StyleProjector
from uso_core.pipeline import USOPipeline
from uso_core.request import Limits

_SEED = 0
_T5_XXL: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
}
_CLIP_L: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "bos_token_id": 702,  # ids of the tiny model's tokenizer, which is used here
    "eos_token_id": 703,
}
_SIGLIP_SO400M: dict[str, Any] = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
    "vision_use_head": False,  # as in loading
}
_PROCESSOR: dict[str, Any] = {
    "size": {"height": 384, "width": 384},
    "resample": 3,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@dataclass(frozen=True)
class RandomModel:
    """A model whose LoRA has not been merged yet.

    Attributes:
        others: everything but the transformer; in its place is a tiny one.
        transformer: with its embedders, without the LoRA.
        lora: the LoRA, to be merged or kept separate.
    """

    others: Components
    transformer: FluxTransformer2DModel
    lora: Lora


def random_model(*, full: bool, device: torch.device, dtype: torch.dtype) -> RandomModel:
    """Create a model.

    Args:
        full: True for FLUX.1-dev's dimensions, 35 GB in bfloat16; False for the tiny model's.
        device: device to create it on.
        dtype: dtype of the transformer and the text encoders.
    """
    flux = {**FLUX_DEV["flux_params"], "guidance_embed": True} if full else TINY_FLUX
    tiny = USOPipeline.tiny().components
    with _made_on(device, dtype):
        transformer = FluxTransformer2DModel(**transformer_arguments(flux)).eval()
        lora = _random_lora(transformer, rank=128 if full else 8)
    others = _full_encoders(tiny, device, dtype) if full else tiny
    return RandomModel(others, transformer, lora)


def merge_lora(model: RandomModel) -> None:
    """Merge the LoRA into the transformer, in float32, as loading does."""
    weights = dict(model.transformer.named_parameters())
    with torch.no_grad():
        for name in model.lora.pairs:
            weights[name].copy_(model.lora.merged(name, weights[name]))


def _full_encoders(tiny: Components, device: torch.device, dtype: torch.dtype) -> Components:
    """Return FLUX.1-dev's other models; tokenizers and limits are the tiny model's."""
    with _made_on(device, dtype):
        t5 = T5EncoderModel(T5Config(**_T5_XXL)).eval()
        clip = CLIPTextModel(CLIPTextConfig(**_CLIP_L)).eval()
    with _made_on(device, torch.float32):
        siglip = SiglipVisionModel(SiglipVisionConfig(**_SIGLIP_SO400M)).eval()
        siglip.set_attn_implementation("eager")  # as in loading
        vae = AutoencoderKL(**vae_arguments(FLUX_DEV["ae_params"])).eval()
        projector: StyleProjector = StyleProjector().eval()
    return replace(
        tiny,
        text_encoder=clip,
        text_encoder_2=t5,
        image_encoder=siglip,
        style_projector=projector,
        vae=vae,
        image_processor=SiglipImageProcessorPil(**_PROCESSOR),
        limits=replace(Limits(), min_size=TINY_LIMITS.min_size),
    )


@contextmanager
def _made_on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Create the modules inside on this device, in this dtype, from the same seed."""
    before = torch.get_default_dtype()
    torch.manual_seed(_SEED)
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)


def _random_lora(transformer: FluxTransformer2DModel, rank: int) -> Lora:
    config = transformer.config
    weights: Mapping[str, nn.Parameter] = dict(transformer.named_parameters())
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for names in lora_targets(config.num_layers, config.num_single_layers).values():
        columns = weights[names[0]].shape[1]
        down = torch.randn(rank, columns) / columns**0.5
        for name in names:
            pairs[name] = (0.1 * torch.randn(weights[name].shape[0], rank) / rank**0.5, down)
    return Lora(pairs)
