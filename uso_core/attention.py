"""Which kernel the transformer's attention runs on."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel

from uso_core.presets import Attention

_BACKENDS = {"sdpa": "native", "cudnn": "_native_cudnn", "flash_3": "_flash_3_hub"}
_HOPPER = (9, 0)


def use_attention(
    transformer: FluxTransformer2DModel, attention: Attention, device: torch.device
) -> None:
    """Let a transformer, which computes on `device`, use a kernel. Before it is compiled.

    Raises:
        RuntimeError: the package that `flash_3` needs is missing, or is too old; it says which.
    """
    if attention == "auto":
        attention = best_attention(transformer.dtype, device)
    if attention != "sdpa":  # which is what there is already
        transformer.set_attention_backend(_BACKENDS[attention])


def best_attention(dtype: torch.dtype, device: torch.device) -> Attention:
    """What `auto` stands for."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return "sdpa"
    is_new = torch.cuda.get_device_capability(device) >= _HOPPER
    return "cudnn" if is_new else "sdpa"
