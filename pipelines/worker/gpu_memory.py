"""Waits for room on a GPU before a model is loaded.

The process of a killed worker may still hold its memory when the replacement starts, and other
programs may fill a shared GPU. Without this check, loading would fail halfway, with an error that
names neither cause.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from uso_core.errors import UsoError

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0
_POLL_S = 1.0


class GpuFullError(UsoError):
    """The GPU has had too little free memory for the model for a minute.

    Attributes:
        device: name of the GPU.
        free: free bytes of the GPU.
        total: all bytes of the GPU.
        needed: bytes that the model needs.
        instead: a preset that would fit and the bytes that it needs; None: no preset fits.
    """

    def __init__(
        self, device: str, free: int, total: int, needed: int, instead: tuple[str, int] | None
    ) -> None:
        super().__init__(device, free, total, needed, instead)
        self.device = device
        self.free = free
        self.total = total
        self.needed = needed
        self.instead = instead

    def __str__(self) -> str:
        found = (
            f"the model needs {_gib(self.needed)} GiB, and {self.device} has {_gib(self.free)} "
            f"free of {_gib(self.total)}"
        )
        if self.needed <= self.total:
            found += "; see with nvidia-smi what else is on it"
        if self.instead is None:
            return f"{found}; use a larger GPU"
        name, needed = self.instead
        return f"{found}; with model.preset: {name} it needs {_gib(needed)} (configs/low_vram.yaml)"


def await_free_memory(
    device: torch.device,
    needed: int,
    *,
    presets: Mapping[str, int] = MappingProxyType({}),
    measure: Callable[[torch.device], tuple[int, int]] = torch.cuda.mem_get_info,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until a GPU has room for a model, for up to a minute.

    Args:
        device: the GPU.
        needed: bytes that the model needs.
        presets: bytes that other presets need; the error names the first one that fits.
        measure: returns the free bytes of a GPU, and all its bytes.
        sleep: waits for a number of seconds.

    Raises:
        GpuFullError: the GPU has no room.
    """
    for waited in range(int(_PATIENCE_S / _POLL_S) + 1):
        free, total = measure(device)
        if free >= needed:
            return
        if needed > total:
            break  # waiting cannot help
        if waited == 0:
            logger.warning("gpu_memory_awaited device=%s free=%d needed=%d", device, free, needed)
        sleep(_POLL_S)
    instead = next(((name, size) for name, size in presets.items() if size <= free), None)
    raise GpuFullError(str(device), free, total, needed, instead)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"
