"""Linear layers in float8: computed with torchao and dynamic scales per row, or only stored."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from diffusers.hooks import apply_layerwise_casting_hook
from torch import nn

BLOCKS = ("transformer_blocks.", "single_transformer_blocks.")
"""Prefixes of the names of a transformer's blocks and their layers."""


def compute_in_float8(transformer: FluxTransformer2DModel) -> None:
    """Replace the weights of the blocks' linear layers with float8 weights that torchao multiplies.

    Weights have one scale per output; inputs have one per token, computed from the token itself, so
    an image does not depend on the images before it. This pays off where blocks are compiled.

    Raises:
        ImportError: torchao is missing.
    """
    from torchao.quantization import (  # noqa: PLC0415 - an extra
        Float8DynamicActivationFloat8WeightConfig,
        PerRow,
        quantize_,
    )

    # torchao's compiler settings let each process choose kernels by its own timings, so an image's
    # last bits would depend on the process that generated it.
    config = Float8DynamicActivationFloat8WeightConfig(
        granularity=PerRow(), set_inductor_config=False
    )
    quantize_(transformer, config, filter_fn=is_float8_linear)


def is_float8_linear(module: nn.Module, name: str) -> bool:
    """Return True if a module of a transformer is one of the layers that use float8.

    These are all linear layers of the blocks except the modulations: a modulation sees one token,
    so it takes almost no time, and its output scales everything that follows.
    """
    return isinstance(module, nn.Linear) and name.startswith(BLOCKS) and "norm" not in name


def store_in_float8(transformer: FluxTransformer2DModel) -> None:
    """Store the weights of the same layers in float8, and cast each back when it is used.

    Works on any GPU. It halves the memory of these weights and is slower.
    """
    dtype = transformer.dtype
    for name, module in transformer.named_modules():
        if is_float8_linear(module, name):
            apply_layerwise_casting_hook(module, torch.float8_e4m3fn, dtype, non_blocking=True)
