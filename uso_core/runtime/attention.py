"""Choice of the kernel for the transformer's attention."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import torch
from diffusers import FluxTransformer2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel

from uso_core.presets import Attention

_FLASH_3 = "_flash_3_hub"
_CUDNN_FIRST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
_HOPPER = (9, 0)


def use_attention(
    transformer: FluxTransformer2DModel, attention: Attention, device: torch.device
) -> None:
    """Set a transformer's attention kernel for `device`; call it before compiling.

    `cudnn` applies to all attention in this process from then on.

    Raises:
        RuntimeError: the package that `flash_3` needs is missing or too old; the message names it.
    """
    if attention == "auto":
        attention = best_attention(transformer.dtype, device)
    if attention == "cudnn":
        _prefer_cudnn()
    elif attention == "flash_3":
        transformer.set_attention_backend(_FLASH_3)


def best_attention(dtype: torch.dtype, device: torch.device) -> Attention:
    """Return the kernel that `auto` selects."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return "sdpa"
    is_new = torch.cuda.get_device_capability(device) >= _HOPPER
    return "cudnn" if is_new else "sdpa"


@cache
def _prefer_cudnn() -> AbstractContextManager[object]:
    """Make torch try cuDNN's kernel before the others, as its later versions do by default.

    diffusers' backend of that name does not fit: at each call it turns the other kernels off, for
    all threads. An image that another thread decodes meanwhile, in float32, would find no kernel.
    """
    preferred: AbstractContextManager[object] = sdpa_kernel(_CUDNN_FIRST, set_priority=True)
    preferred.__enter__()
    return preferred  # kept alive: the setting is undone when this object is freed
