"""Checks that a device exists and can run a preset."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from uso_core.errors import NoSuchDeviceError, UnsupportedPresetError
from uso_core.presets import Preset

_FLOAT8_CAPABILITY = (8, 9)


def check_device(device: torch.device) -> None:
    """Refuse a GPU that PyTorch does not find, before anything is loaded.

    Raises:
        NoSuchDeviceError: the message says what PyTorch finds.
    """
    if device.type != "cuda":
        return
    found = torch.cuda.device_count()
    if (device.index or 0) < found:
        return
    torch_is = f"PyTorch {torch.__version__}"
    if torch.version.cuda is None and torch.version.hip is None:
        reason = f"{torch_is} is built without CUDA: install a build with CUDA"
    else:
        reason = f"{torch_is} finds {found} GPUs; does nvidia-smi show one, with a recent driver?"
    raise NoSuchDeviceError(f"device {device}: {reason}; or choose the CPU (device: cpu)")


def check_preset(preset: Preset, device: torch.device, dtype: torch.dtype) -> None:
    """Refuse a preset that the device cannot run in this dtype, before anything is loaded.

    Raises:
        UnsupportedPresetError: the message says what the preset needs and what the device has.
    """
    if preset.linears != "float8":
        return
    if device.type != "cuda":
        raise UnsupportedPresetError(
            preset.name, f"needs an NVIDIA GPU, not {device}; use exact or draft"
        )
    if dtype != torch.bfloat16:
        raise UnsupportedPresetError(preset.name, f"needs the dtype bfloat16, not {dtype}")
    if find_spec("torchao") is None:
        raise UnsupportedPresetError(preset.name, "needs torchao: pip install 'uso-batch[fp8]'")
    have = torch.cuda.get_device_capability(device)
    if have < _FLOAT8_CAPABILITY:
        raise UnsupportedPresetError(
            preset.name,
            "needs a GPU of compute capability 8.9 (Ada, Hopper) or later; "
            f"{torch.cuda.get_device_name(device)} has {have[0]}.{have[1]}: use exact or draft",
        )
