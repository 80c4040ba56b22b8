"""Mapping of tensor names from original (Black Forest Labs, USO) files to diffusers' modules.

Names only, no tensors: the loaders and the writer of tiny checkpoints follow the same rules, in
opposite directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Transform = Literal["plain", "halves_swapped", "conv_1x1"]


@dataclass(frozen=True)
class Rule:
    """The mapping of one tensor in a file to one or more tensors of a module.

    Attributes:
        source: its key in the file.
        targets: keys in the module; the file stacks several along the first axis.
        transform: `halves_swapped`: the two halves of the first axis are swapped (shift and
            scale); `conv_1x1`: a 1x1 convolution in the file is a linear layer in the module.
    """

    source: str
    targets: tuple[str, ...]
    transform: Transform = "plain"


_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_ADDED_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")

_TOP_LAYERS: dict[str, tuple[str, ...]] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
}
_GUIDANCE_LAYERS: dict[str, tuple[str, ...]] = {
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
}
_DOUBLE_LAYERS: dict[str, tuple[str, ...]] = {
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
    "img_attn.qkv": _QKV,
    "txt_attn.qkv": _ADDED_QKV,
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
}
_DOUBLE_SCALES = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
}
_SINGLE_LAYERS: dict[str, tuple[str, ...]] = {
    "modulation.lin": ("norm.linear",),
    "linear1": (*_QKV, "proj_mlp"),
    "linear2": ("proj_out",),
}
_SINGLE_SCALES = {"norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k"}

_DOUBLE_LORA: dict[str, tuple[str, ...]] = {
    "qkv_lora1": _QKV,
    "qkv_lora2": _ADDED_QKV,
    "proj_lora1": ("attn.to_out.0",),
    "proj_lora2": ("attn.to_add_out",),
}
_SINGLE_LORA: dict[str, tuple[str, ...]] = {"qkv_lora": _QKV, "proj_lora": ("proj_out",)}


def transformer_rules(num_layers: int, num_single_layers: int, *, guidance: bool) -> list[Rule]:
    """Return the rules from `flux1-*.safetensors` to `FluxTransformer2DModel`.

    Args:
        num_layers: double-stream blocks.
        num_single_layers: single-stream blocks.
        guidance: True if there is a guidance embedder, as in FLUX.1-dev but not in schnell.
    """
    rules = list(_layer_rules("", "", _TOP_LAYERS | (_GUIDANCE_LAYERS if guidance else {})))
    for i in range(num_layers):
        names = (f"double_blocks.{i}.", f"transformer_blocks.{i}.")
        rules += _layer_rules(*names, _DOUBLE_LAYERS)
        rules += _scale_rules(*names, _DOUBLE_SCALES)
    for i in range(num_single_layers):
        names = (f"single_blocks.{i}.", f"single_transformer_blocks.{i}.")
        rules += _layer_rules(*names, _SINGLE_LAYERS)
        rules += _scale_rules(*names, _SINGLE_SCALES)
    for kind in ("weight", "bias"):
        source, target = f"final_layer.adaLN_modulation.1.{kind}", f"norm_out.linear.{kind}"
        rules.append(Rule(source, (target,), "halves_swapped"))
    return rules


def lora_targets(num_layers: int, num_single_layers: int) -> dict[str, tuple[str, ...]]:
    """Return the `FluxTransformer2DModel` weights that each pair of `dit_lora.safetensors` updates.

    Returns:
        Key without `.down.weight` or `.up.weight` → names of weights; consecutive rows of `up`
        belong to consecutive weights.
    """
    blocks = [("double_blocks", "transformer_blocks", num_layers, _DOUBLE_LORA)]
    blocks += [("single_blocks", "single_transformer_blocks", num_single_layers, _SINGLE_LORA)]
    return {
        f"{ours}.{i}.processor.{stem}": tuple(f"{theirs}.{i}.{layer}.weight" for layer in layers)
        for ours, theirs, count, pairs in blocks
        for i in range(count)
        for stem, layers in pairs.items()
    }


def vae_rules(targets: Iterable[str]) -> list[Rule]:
    """Return the rules from `ae.safetensors` to `AutoencoderKL`, whose own names are `targets`."""
    names = list(targets)
    ups = {int(match[1]) for name in names if (match := _UP_BLOCK.match(name))}
    return [Rule(_vae_source(name, len(ups)), (name,), _vae_transform(name)) for name in names]


_UP_BLOCK = re.compile(r"decoder\.up_blocks\.(\d+)\.")
_VAE_RENAMES = (
    (re.compile(r"\bdown_blocks\.(\d+)\.resnets\."), r"down.\1.block."),
    (re.compile(r"\bdown_blocks\.(\d+)\.downsamplers\.0\."), r"down.\1.downsample."),
    (re.compile(r"\bup_blocks\.(\d+)\.resnets\."), r"up.\1.block."),
    (re.compile(r"\bup_blocks\.(\d+)\.upsamplers\.0\."), r"up.\1.upsample."),
    (re.compile(r"\bmid_block\.resnets\.0\."), "mid.block_1."),
    (re.compile(r"\bmid_block\.resnets\.1\."), "mid.block_2."),
    (re.compile(r"\bmid_block\.attentions\.0\.group_norm\."), "mid.attn_1.norm."),
    (re.compile(r"\bmid_block\.attentions\.0\.to_([qkv])\."), r"mid.attn_1.\1."),
    (re.compile(r"\bmid_block\.attentions\.0\.to_out\.0\."), "mid.attn_1.proj_out."),
    (re.compile(r"\bconv_shortcut\."), "nin_shortcut."),
    (re.compile(r"\bconv_norm_out\."), "norm_out."),
)


def _vae_source(target: str, num_up_blocks: int) -> str:
    """Return the original's name; it numbers the decoder's blocks from the largest resolution."""
    if match := _UP_BLOCK.match(target):
        index = num_up_blocks - 1 - int(match[1])
        target = f"decoder.up_blocks.{index}.{target[match.end() :]}"
    for pattern, replacement in _VAE_RENAMES:
        target = pattern.sub(replacement, target)
    return target


def _vae_transform(target: str) -> Transform:
    return "conv_1x1" if ".attentions.0.to_" in target and target.endswith(".weight") else "plain"


def _layer_rules(
    source_prefix: str, target_prefix: str, layers: dict[str, tuple[str, ...]]
) -> Iterator[Rule]:
    for source, targets in layers.items():
        for kind in ("weight", "bias"):
            names = tuple(f"{target_prefix}{target}.{kind}" for target in targets)
            yield Rule(f"{source_prefix}{source}.{kind}", names)


def _scale_rules(source_prefix: str, target_prefix: str, scales: dict[str, str]) -> Iterator[Rule]:
    for source, target in scales.items():
        yield Rule(f"{source_prefix}{source}.scale", (f"{target_prefix}{target}.weight",))
