"""Weights that stay in the host's memory and come to the device only while they are needed.

By diffusers' group offloading: on a GPU the next weights are copied, on a stream of their own,
while those before them are at work. They are copied as they are, so a picture stays the same.
"""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from diffusers.hooks import apply_group_offloading
from torch import nn

_HOST = torch.device("cpu")


def stream_blocks(transformer: FluxTransformer2DModel, device: torch.device) -> None:
    """Stream a transformer block by block; two are on the device at a time."""
    _stream(transformer, device, offload_type="block_level", num_blocks_per_group=1)


def stream_layers(module: nn.Module, device: torch.device) -> None:
    """Stream a module, whatever its structure, layer by layer.

    Args:
        module: called itself, not through a method or a part of it: else its layers are never
            brought ahead of time, and diffusers notes each call of each layer for ever. Every layer
            in it is called likewise, not read: `nn.MultiheadAttention` reads one.
        device: to compute on.
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
        # Else the host gives out work without an end, and layers pile up on the device until the
        # work that reads them is done.
        record_stream=False,
    )
