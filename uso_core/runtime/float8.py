"""Linear layers in float8: by torchao, with dynamic scales per row, or for storage alone."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from diffusers.hooks import apply_layerwise_casting_hook
from torch import nn

BLOCKS = ("transformer_blocks.", "single_transformer_blocks.")
"""What the names of a transformer's blocks and their layers begin with."""


def compute_in_float8(transformer: FluxTransformer2DModel) -> None:
    """Replace the weights of the blocks' linear layers by float8 ones that torchao multiplies.

    Weights have a scale for each output, inputs one for each token, taken from the token itself: a
    picture does not depend on what was drawn before. It pays where blocks are compiled.

    Raises:
        ImportError: torchao is missing.
    """
    from torchao.quantization import (  # noqa: PLC0415 - an extra
        Float8DynamicActivationFloat8WeightConfig,
        PerRow,
        quantize_,
    )

    # torchao's settings of the compiler let each process choose kernels by what it has timed, so
    # that a picture's last bits would depend on where it was drawn.
    config = Float8DynamicActivationFloat8WeightConfig(
        granularity=PerRow(), set_inductor_config=False
    )
    quantize_(transformer, config, filter_fn=is_float8_linear)


def is_float8_linear(module: nn.Module, name: str) -> bool:
    """Whether a module of a transformer is among those that are computed in float8.

    All linear layers of the blocks but the modulations: these see one token, so they take next to
    no time, and everything that follows is multiplied with what they give.
    """
    return isinstance(module, nn.Linear) and name.startswith(BLOCKS) and "norm" not in name


def store_in_float8(transformer: FluxTransformer2DModel) -> None:
    """Keep the weights of the same layers in float8; each is cast back when it is used.

    Any GPU can do this. It halves their memory, and is slower than not to.
    """
    dtype = transformer.dtype
    for name, module in transformer.named_modules():
        if is_float8_linear(module, name):
            apply_layerwise_casting_hook(module, torch.float8_e4m3fn, dtype, non_blocking=True)
