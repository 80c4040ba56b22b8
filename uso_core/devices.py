"""Which presets a device can run."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from uso_core.errors import UnsupportedPresetError
from uso_core.presets import Preset

_FLOAT8_CAPABILITY = (8, 9)


def check_preset(preset: Preset, device: torch.device) -> None:
    """Refuse a preset that a device cannot run, before anything is loaded.

    Raises:
        UnsupportedPresetError: with what it needs and what there is.
    """
    if preset.linears != "float8":
        return
    if device.type != "cuda":
        raise UnsupportedPresetError(
            preset.name, f"needs an NVIDIA GPU, not {device}; use exact or draft"
        )
    if find_spec("torchao") is None:
        raise UnsupportedPresetError(preset.name, "needs torchao: pip install 'uso-batch[fp8]'")
    have = torch.cuda.get_device_capability(device)
    if have < _FLOAT8_CAPABILITY:
        raise UnsupportedPresetError(
            preset.name,
            "needs a GPU of compute capability 8.9 (Ada, Hopper) or later; "
            f"{torch.cuda.get_device_name(device)} has {have[0]}.{have[1]}: use exact or draft",
        )
