"""Writes a trained model in the original's file formats, as fp16 safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save
from torch import nn
from transformers import T5Config, T5EncoderModel

from examples.train_demo.codec import AE_PARAMS
from examples.train_demo.dimensions import (
    DOUBLE,
    HEADS,
    LATENT,
    POOLED,
    SINGLE,
    TEXT_WIDTH,
    VOCABULARY,
    WIDTH,
)
from examples.train_demo.flux_file import AXES_SETTING, flux_tensors, split_lora
from examples.train_demo.model import CLIP, DemoModel
from examples.train_demo.style_encoder import SIGLIP
from uso_core.loading.key_mapping import vae_rules
from uso_core.loading.tiny_configs import TINY_SIGLIP_PROCESSOR
from uso_core.request import Limits

FLUX_PARAMS = {
    "in_channels": LATENT,
    "vec_in_dim": POOLED,
    "context_in_dim": TEXT_WIDTH,
    "hidden_size": WIDTH,
    "mlp_ratio": 4.0,
    "num_heads": HEADS,
    "depth": DOUBLE,
    "depth_single_blocks": SINGLE,
    "axes_dim": AXES_SETTING,
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
}
LIMITS = Limits(
    min_size=64,
    max_size=256,
    default_size=128,
    max_content_long_size=256,
    default_content_long_size=128,
    default_keep_size=True,
)
T5: dict[str, Any] = {
    "model_type": "t5",
    "vocab_size": VOCABULARY,
    "d_model": TEXT_WIDTH,
    "d_kv": 8,
    "d_ff": 8,
    "num_layers": 1,
    "num_heads": 1,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
    "tie_word_embeddings": False,
}
_CLIP_FIXED = {"model_type": "clip_text_model"}
_PROCESSOR = TINY_SIGLIP_PROCESSOR | {
    "size": {"height": SIGLIP["image_size"], "width": SIGLIP["image_size"]}
}


def export(model: DemoModel, vae: AutoencoderKL, folder: Path, text: Path) -> None:
    """Write a checkpoint.

    Args:
        model: the trained model.
        vae: with its trained decoder.
        folder: gets the files; created if missing.
        text: folder of the tokenizers' files.
    """
    _write_json(folder / "config.json", _settings())
    _write_json(folder / "t5" / "config.json", T5)
    _write_json(folder / "clip" / "config.json", CLIP | _CLIP_FIXED)
    _write_json(folder / "siglip" / "config.json", SIGLIP)
    _write_json(folder / "siglip" / "preprocessor_config.json", _PROCESSOR)
    for file in sorted(text.glob("*/*")):
        (folder / file.relative_to(text)).write_bytes(file.read_bytes())
    base, lora = split_lora(flux_tensors(model.transformer))
    _write_tensors(folder / "flux1-dev.safetensors", base)
    _write_tensors(folder / "dit_lora.safetensors", lora)
    _write_tensors(folder / "ae.safetensors", _vae_tensors(vae))
    _write_tensors(folder / "projector.safetensors", model.style.projector.state_dict())
    _write_tensors(folder / "t5" / "model.safetensors", _t5_tensors(model))
    _write_tensors(folder / "clip" / "model.safetensors", _prefixed("text_model.", model.clip))
    siglip = _prefixed("vision_model.", model.style.siglip)
    _write_tensors(folder / "siglip" / "model.safetensors", siglip)


def _settings() -> dict[str, Any]:
    return {"flux_params": FLUX_PARAMS, "ae_params": AE_PARAMS, "limits": asdict(LIMITS)}


def _vae_tensors(vae: AutoencoderKL) -> dict[str, torch.Tensor]:
    tensors = vae.state_dict()
    written = {}
    for rule in vae_rules(tensors):
        tensor = tensors[rule.targets[0]]
        written[rule.source] = tensor[..., None, None] if rule.transform == "conv_1x1" else tensor
    return written


def _t5_tensors(model: DemoModel) -> dict[str, torch.Tensor]:
    """Return a T5 whose only layer adds nothing: a table and a norm."""
    tensors = T5EncoderModel(T5Config.from_dict(T5)).state_dict()
    written = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    del written["encoder.embed_tokens.weight"]
    written["shared.weight"] = model.transformer.table
    written["encoder.final_layer_norm.weight"] = model.transformer.table_scale
    return written


def _prefixed(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {prefix + name.removeprefix(prefix): t for name, t in module.state_dict().items()}


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    halves = {name: t.detach().to(torch.float16).contiguous() for name, t in tensors.items()}
    if broken := [name for name, tensor in halves.items() if not tensor.isfinite().all()]:
        raise OverflowError(f"{path.name}: fp16 cannot hold {', '.join(broken)}")
    path.write_bytes(save(halves))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
