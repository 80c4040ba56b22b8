"""Asynchronous copies between the host and a GPU.

A plain `.to(device)` of a tensor in ordinary memory blocks the host until the GPU has finished all
work submitted before. A copy from or to pinned memory is queued like any other GPU work. Without a
GPU, nothing is pinned.
"""

from __future__ import annotations

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a host tensor to the device; work submitted to the current stream afterwards can use it.

    The caller may change or drop `tensor` at once: the source is a pinned copy, which torch keeps
    until the GPU has read it.
    """
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the host; the copy is valid once the current stream has reached this point.

    A tensor that is already on the host is returned unchanged.
    """
    if tensor.device.type != "cuda":
        return tensor
    pinned = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return pinned.copy_(tensor, non_blocking=True)
