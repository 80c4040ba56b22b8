"""The transformer's weights under the original's names, and USO's LoRA taken out of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from examples.train_demo.dimensions import (
    AXES,
    DOUBLE,
    HEAD,
    HEADS,
    LATENT,
    LATENT_SCALE,
    SINGLE,
    SPARE,
    TIME_HIDDEN,
    WIDTH,
    pairs_first,
    sinusoid,
)
from examples.train_demo.transformer import Transformer
from uso_core.loading.key_mapping import lora_targets

AXES_SETTING = list(AXES)
RANK = 8
_ZERO, _PLUS, _MINUS = WIDTH - 3, WIDTH - 2, WIDTH - 1
_HEIGHT = 400.0
"""Value of the channels `_PLUS` and, negative, `_MINUS` before the last norm. They make its scale
constant, so that the norm is linear in all others."""
_SUM_OF_OTHERS = 200.0
_MIN_SIGMA = 0.02


Kind = Literal["plain", "placed", "qkv", "head", "first"]
"""Relation of a tensor in the file to a parameter: the same; rows of the written channels; heads of
queries and keys in another order; one such head; the first rows and columns."""


@torch.no_grad()
def flux_tensors(model: Transformer) -> dict[str, torch.Tensor]:
    """Return the tensors of `flux1-dev.safetensors`, before the LoRA is split off."""
    tensors = {
        "img_in.weight": LATENT_SCALE * torch.eye(WIDTH, LATENT),
        **{name: _to_file(kind, parameter) for name, kind, parameter in _entries(model)},
    }
    _keep_first_for_sigma(tensors)
    _add_sigma(tensors)
    _add_heights(tensors, f"single_blocks.{SINGLE - 1}")
    return tensors | _final(model.finished)


@torch.no_grad()
def read_flux(tensors: Mapping[str, torch.Tensor], model: Transformer) -> None:
    """Do the reverse of `flux_tensors`, with the LoRA added again."""
    for name, kind, parameter in _entries(model):
        parameter.copy_(_from_file(kind, tensors[name].float(), parameter))
    spread = math.sqrt((2 * _HEIGHT**2 + _SUM_OF_OTHERS) / WIDTH)
    last = tensors["final_layer.linear.weight"].float() / spread
    model.finished.weight.copy_(-last[:, LATENT : WIDTH - SPARE])
    model.finished.bias.copy_(-last[:, _PLUS] * _HEIGHT)


def _entries(model: Transformer) -> Iterator[tuple[str, Kind, torch.Tensor]]:
    """Yield the name in the file, the relation and the parameter of every layer but the last."""
    yield "img_in.bias", "placed", model.start
    yield from _layer("txt_in", model.context)
    for name, embedder in (("guidance_in", model.guidance), ("vector_in", model.pooled)):
        yield from _layer(f"{name}.in_layer", embedder.layers[0])
        yield from _layer(f"{name}.out_layer", embedder.layers[1])
    yield from _layer("time_in.in_layer", model.time.layers[0], "first")
    yield from _layer("time_in.out_layer", model.time.layers[1], "first")
    for index, block in enumerate(model.double_blocks):
        for side, stream in (("img", block.img), ("txt", block.txt)):
            name = f"double_blocks.{index}.{side}"
            yield from _layer(f"{name}_mod.lin", stream.mod)
            yield from _layer(f"{name}_attn.qkv", stream.qkv, "qkv")
            yield from _layer(f"{name}_attn.proj", stream.proj, "placed")
            yield from _layer(f"{name}_mlp.0", stream.up)
            yield from _layer(f"{name}_mlp.2", stream.down, "placed")
            yield f"{name}_attn.norm.query_norm.scale", "head", stream.norm_q
            yield f"{name}_attn.norm.key_norm.scale", "head", stream.norm_k
    for index, single in enumerate(model.single_blocks):
        name = f"single_blocks.{index}"
        yield from _layer(f"{name}.modulation.lin", single.mod)
        yield from _layer(f"{name}.linear1", single.linear1, "qkv")
        yield from _layer(f"{name}.linear2", single.linear2, "placed")
        yield f"{name}.norm.query_norm.scale", "head", single.norm_q
        yield f"{name}.norm.key_norm.scale", "head", single.norm_k


def _layer(
    name: str, layer: nn.Linear, kind: Kind = "plain"
) -> Iterator[tuple[str, Kind, torch.Tensor]]:
    yield f"{name}.weight", kind, layer.weight
    yield f"{name}.bias", kind, layer.bias


def _to_file(kind: Kind, parameter: torch.Tensor) -> torch.Tensor:
    if kind in ("qkv", "head"):
        written, order = parameter.clone(), _order(kind)
        written[order] = parameter[: len(order)]
        return written
    if kind == "plain" or (kind == "placed" and len(parameter) == WIDTH):
        return parameter.clone()
    sides = [WIDTH, 256 if parameter.shape[-1] == 256 else WIDTH] if kind == "first" else [WIDTH]
    rest = parameter.shape[1:] if kind == "placed" else sides[1 : parameter.dim()]
    whole = parameter.new_zeros(WIDTH, *rest)
    whole[_part(kind, parameter)] = parameter
    return whole


def _from_file(kind: Kind, tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    if kind in ("qkv", "head"):
        read, order = tensor.clone(), _order(kind)
        read[: len(order)] = tensor[order]
        return read
    return tensor if kind == "plain" else tensor[_part(kind, parameter)]


def _part(kind: Kind, parameter: torch.Tensor) -> tuple[slice, ...]:
    if kind == "first":
        return tuple(slice(side) for side in parameter.shape)
    start = 0 if len(parameter) == WIDTH else WIDTH - SPARE - len(parameter)
    return (slice(start, start + len(parameter)),)


def _order(kind: Kind) -> torch.Tensor:
    """Return the row in the file of each row: FLUX turns neighbouring channels together."""
    if kind == "head":
        return pairs_first()
    heads = torch.arange(2 * HEADS)[:, None] * HEAD + pairs_first()
    return heads.flatten()


def split_lora(
    tensors: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Move the strongest directions of each weight that the LoRA updates into the LoRA.

    Their sum stays the same, and the base alone is useless: a loader that forgets the LoRA shows.
    """
    base = dict(tensors)
    lora: dict[str, torch.Tensor] = {}
    for stem in lora_targets(DOUBLE, SINGLE):
        name, rows = _target(stem)
        weight = base[name]
        part = weight[:rows]
        left, values, right = torch.linalg.svd(part, full_matrices=False)
        roots = values[:RANK].sqrt()
        up, down = left[:, :RANK] * roots, roots[:, None] * right[:RANK]
        lora |= {f"{stem}.up.weight": up, f"{stem}.down.weight": down}
        base[name] = torch.cat([part - up @ down, weight[rows:]])
    return base, lora


def merge_lora(
    base: Mapping[str, torch.Tensor], lora: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Do the reverse of `split_lora`, in float32."""
    merged = {name: tensor.float() for name, tensor in base.items()}
    for stem in lora_targets(DOUBLE, SINGLE):
        name, rows = _target(stem)
        up, down = (lora[f"{stem}.{part}.weight"].float() for part in ("up", "down"))
        merged[name][:rows] += up @ down
    return merged


def _target(stem: str) -> tuple[str, int]:
    """Return the original's weight that a pair updates, and how many of its rows."""
    block, _, pair = stem.partition(".processor.")
    names = {
        "qkv_lora1": ("img_attn.qkv", 3 * WIDTH),
        "qkv_lora2": ("txt_attn.qkv", 3 * WIDTH),
        "proj_lora1": ("img_attn.proj", WIDTH),
        "proj_lora2": ("txt_attn.proj", WIDTH),
        "qkv_lora": ("linear1", 3 * WIDTH),
        "proj_lora": ("linear2", WIDTH),
    }
    layer, rows = names[pair]
    return f"{block}.{layer}.weight", rows


def _keep_first_for_sigma(tensors: dict[str, torch.Tensor]) -> None:
    """Let nothing but `_add_sigma` use the first channel of the embedding that modulates."""
    for name, tensor in tensors.items():
        if name.endswith(("mod.lin.weight", "modulation.lin.weight")):
            tensor[:, 0] = 0
        elif ".out_layer." in name:
            tensor[0] = 0


def _add_sigma(tensors: dict[str, torch.Tensor]) -> None:
    """Make the first channel of the time's embedding 1 / sigma, after SiLU.

    The spare hidden units bend at sigmas that are close together where 1 / sigma is steep.
    """
    spare = WIDTH - TIME_HIDDEN
    knots = torch.logspace(math.log10(_MIN_SIGMA), math.log10(1.05), spare, dtype=torch.float64)
    slopes = 6 / (knots * (float(knots[1] / knots[0]) - 1))
    slowest = math.exp(-math.log(10000) * 127 / 128) * 1000  # its sine is nearly linear
    weight, bias = (tensors[f"time_in.in_layer.{part}"] for part in ("weight", "bias"))
    weight[TIME_HIDDEN:, 255] = (-slopes / slowest).half().float()
    bias[TIME_HIDDEN:] = (slopes * knots).half().float()
    sigmas = torch.logspace(math.log10(_MIN_SIGMA), 0, 4000, dtype=torch.float64)
    units = sinusoid(sigmas.float() * 1000).double() @ weight[TIME_HIDDEN:].T.double()
    hidden = functional.silu(units + bias[TIME_HIDDEN:])
    hidden = torch.cat([hidden, torch.ones(len(sigmas), 1)], dim=1)
    wanted = _inverse_silu(1 / sigmas)
    solved = torch.linalg.lstsq(
        hidden * sigmas[:, None], (wanted * sigmas)[:, None], driver="gelsd"
    ).solution[:, 0]
    tensors["time_in.out_layer.weight"][0, TIME_HIDDEN:] = solved[:-1].float()
    tensors["time_in.out_layer.bias"][0] = solved[-1].float()


def _add_heights(tensors: dict[str, torch.Tensor], last_block: str) -> None:
    """Let the last block write the constants that make the last norm linear."""
    gates = slice(2 * WIDTH + _PLUS, 2 * WIDTH + _MINUS + 1)
    tensors[f"{last_block}.modulation.lin.weight"][gates] = 0
    tensors[f"{last_block}.modulation.lin.bias"][gates] = 1
    tensors[f"{last_block}.linear2.bias"][_PLUS] = _HEIGHT
    tensors[f"{last_block}.linear2.bias"][_MINUS] = -_HEIGHT


def _inverse_silu(values: torch.Tensor) -> torch.Tensor:
    """Return x with SiLU(x) = value, for values from 1, by Newton's method."""
    x = values.clone()
    for _ in range(30):
        gate = torch.sigmoid(x)
        x = x - (x * gate - values) / (gate * (1 + x * (1 - gate)))
    return x


def _final(finished: nn.Linear) -> dict[str, torch.Tensor]:
    """Return the last layer: (noisy - finished) / sigma from the normed stream."""
    spread = math.sqrt((2 * _HEIGHT**2 + _SUM_OF_OTHERS) / WIDTH)
    weight = torch.zeros(LATENT, WIDTH)
    weight[:, :LATENT] = torch.eye(LATENT) / LATENT_SCALE
    weight[:, LATENT : WIDTH - SPARE] = -finished.weight
    weight[:, _PLUS] = -finished.bias / _HEIGHT
    weight[:, _ZERO] = -weight.sum(1)  # takes the mean, which the norm subtracts, out again
    modulation = torch.zeros(2 * WIDTH, WIDTH)  # shift, then scale
    modulation[WIDTH:, 0] = 1
    shift_and_scale = torch.cat([torch.zeros(WIDTH), -torch.ones(WIDTH)])
    return {
        "final_layer.linear.weight": weight * spread,
        "final_layer.linear.bias": torch.zeros(LATENT),
        "final_layer.adaLN_modulation.1.weight": modulation,
        "final_layer.adaLN_modulation.1.bias": shift_and_scale,
    }
