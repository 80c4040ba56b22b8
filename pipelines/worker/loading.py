"""The model of one worker: weights brought to this node, loaded, compiled.

Imported when a worker is built, so that the driver's process never loads torch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from pipelines.worker.gpu_memory import await_free_memory
from pipelines.worker.model_files import cache_folder, localize
from uso_core.loading.memory import memory_needed
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS, SMALL_PRESETS
from uso_core.runtime.devices import check_device, check_preset

if TYPE_CHECKING:
    from pipelines.worker.spec import StylizerSpec


def load_pipeline(spec: StylizerSpec) -> USOPipeline:
    """The pipeline of one worker: weights brought to this node, loaded, compiled if asked for.

    Raises:
        CheckpointError: a weight file is missing or does not match the model.
        StorageError: weights could not be pulled from their URL.
        GpuFullError: the GPU is too small, or something else is on it.
        NoSuchDeviceError: PyTorch finds no GPU where one is asked for.
        UnsupportedPresetError: the device cannot run the preset.
    """
    torch.set_num_threads(spec.torch_threads)
    name = spec.model.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if spec.model.dtype == "auto":
        dtype = torch.bfloat16 if name == "cuda" else torch.float32
    else:
        dtype = torch.bfloat16 if spec.model.dtype == "bfloat16" else torch.float32
    device, preset = torch.device(name), spec.model.chosen_preset
    check_device(device)
    check_preset(preset, device, dtype)
    source = localize(spec.model, spec.storage)
    if device.type == "cuda":
        needs: dict[str, int] = {
            name: memory_needed(source, dtype, PRESETS[name]) for name in SMALL_PRESETS
        }
        await_free_memory(device, memory_needed(source, dtype, preset), presets=needs)
    attention = spec.model.attention
    pipeline = USOPipeline.load(
        source, dtype=dtype, device=device, preset=preset, attention=attention
    )
    if spec.model.compile:
        # Where torch would put it by itself is emptied when the machine starts. Apart for each
        # kernel of attention, because torch takes what was compiled for one for another's.
        folder = cache_folder(spec.model) / "compiled" / attention
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
        pipeline.compile()
    return pipeline
