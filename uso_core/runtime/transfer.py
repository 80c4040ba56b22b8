"""Copies between the host and a GPU that neither of them waits for.

A plain `.to(device)` of a tensor in ordinary memory holds the host back until the GPU has done all
that it was given before. From and to pinned memory, a copy is one more thing given to the GPU.
Nothing is pinned where there is no GPU.
"""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy of a tensor of the host; what is given to the current stream next can use it.

    `tensor` may be changed or dropped at once: what is copied is a pinned copy of it, which torch
    keeps until the GPU has read it.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the host, of which nothing may be read before the current stream has come so far.

    A tensor that is on the host already is returned as it is.
    """
    if tensor.device.type != "cuda":
        return tensor
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)
