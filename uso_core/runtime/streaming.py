"""Weight streaming: weights stay in host memory and are copied to the device when they are needed.

Uses diffusers' group offloading: on a GPU, the next weights are copied on a stream of their own
while the current ones compute. They are copied unchanged, so the generated image stays the same.
"""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from diffusers.hooks import apply_group_offloading
from torch import nn

_HOST = torch.device("cpu")


def stream_blocks(transformer: FluxTransformer2DModel, device: torch.device) -> None:
    """Stream a transformer block by block; two blocks are on the device at a time."""
    _stream(transformer, device, offload_type="block_level", num_blocks_per_group=1)


def stream_layers(module: nn.Module, device: torch.device) -> None:
    """Stream a module of any structure, layer by layer.

    Args:
        module: must itself be called, not one of its methods or submodules: otherwise its layers
            are never prefetched, and diffusers records each call of each layer forever. Each layer
            inside must also be called, not read: `nn.MultiheadAttention` reads one.
        device: device that computes.
    """
    _stream(module, device, offload_type="leaf_level", num_blocks_per_group=None)


def _stream(
    module: nn.Module, device: torch.device, *, offload_type: str, num_blocks_per_group: int | None
) -> None:
    apply_group_offloading(
        module,
        onload_device=device,
        offload_device=_HOST,
        offload_type=offload_type,
        num_blocks_per_group=num_blocks_per_group,
        use_stream=device.type == "cuda",
        # Otherwise the host submits work without limit, and layers pile up on the device until the
        # work that reads them is done.
        record_stream=False,
    )
