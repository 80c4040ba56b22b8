"""Before a model is loaded: is there room for it on the GPU?

A worker that replaces one that was killed starts while the old process may still hold its memory,
and a GPU that is shared with strangers may be full. Loading regardless would fail somewhere in the
middle, with an error that names neither.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0
_POLL_S = 1.0


class GpuFullError(Exception):
    """The GPU has too little free memory for the model, and kept it so for a minute.

    Attributes:
        device: which GPU.
        free: bytes that are free.
        total: bytes that it has.
        needed: bytes of the model's weights.
    """

    def __init__(self, device: str, free: int, total: int, needed: int) -> None:
        super().__init__(device, free, total, needed)
        self.device = device
        self.free = free
        self.total = total
        self.needed = needed

    def __str__(self) -> str:
        return (
            f"{self.device} has {self.free / 1e9:.1f} GB free of {self.total / 1e9:.1f} GB, and "
            f"the model's weights need {self.needed / 1e9:.1f} GB; see with nvidia-smi what "
            "else is on it, or use a larger GPU"
        )


def await_free_memory(
    device: torch.device,
    needed: int,
    *,
    measure: Callable[[torch.device], tuple[int, int]] = torch.cuda.mem_get_info,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until a GPU has room for a model, for up to a minute.

    Args:
        device: the GPU.
        needed: bytes.
        measure: gives a GPU's free bytes, and all it has.
        sleep: waits so many seconds.

    Raises:
        GpuFullError: it has not.
    """
    for waited in range(int(_PATIENCE_S / _POLL_S) + 1):
        free, total = measure(device)
        if free >= needed:
            return
        if needed > total:
            break  # no waiting helps
        if waited == 0:
            logger.warning("gpu_memory_awaited device=%s free=%d needed=%d", device, free, needed)
        sleep(_POLL_S)
    raise GpuFullError(str(device), free, total, needed)
