"""Loads the model of one worker: weights brought to this node, loaded, compiled if asked for.

Imported when a worker is built, so that the driver's process never loads torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch

from pipelines.config.model import ModelConfig
from pipelines.worker.absent import absent
from pipelines.worker.gpu_memory import await_free_memory
from pipelines.worker.model_files import cache_folder, localize
from pipelines.worker.one_pass import import_transformers
from pipelines.worker.sparse_copy import sparse_copy
from uso_core.errors import UsoError
from uso_core.families import describe_model, family_of
from uso_core.presets import PRESETS, SMALL_PRESETS
from uso_core.protocol import AnyPipeline
from uso_core.runtime.devices import check_device, check_preset


def load_pipeline(
    model: ModelConfig,
    storage: Mapping[str, Mapping[str, Any]],
    threads: int,
    *,
    alone: bool = False,
) -> AnyPipeline:
    """Load a model on this node's device.

    A missing file is told before a missing GPU.

    Args:
        model: the weights and how to run them.
        storage: fsspec options by protocol, secrets resolved.
        threads: CPU threads for the parts of the model that run there.
        alone: no other code in this process uses the libraries of the model; they are loaded
            without packages that they need elsewhere.

    Raises:
        CheckpointError: a weight file is missing or does not match the model.
        StorageError: weights could not be fetched from their URL.
        GpuFullError: the GPU is too small, or something else is using its memory.
        NoSuchDeviceError: PyTorch finds no GPU, and one is asked for.
        UnsupportedPresetError: the device cannot run the preset.
    """
    torch.set_num_threads(threads)
    device, preset = _device(model), model.chosen_preset
    dtype = _dtype(model, device)
    try:
        check_device(device)
        check_preset(preset, device, dtype)
    except UsoError:
        # A wrong path is told first. Weights at a URL are not pulled for it.
        describe_model(sparse_copy(model, storage))
        raise
    source = localize(model, storage)
    family = family_of(source)
    if device.type == "cuda":
        needs: dict[str, int] = {
            name: family.memory_needed(source, dtype, PRESETS[name]) for name in SMALL_PRESETS
        }
        await_free_memory(device, family.memory_needed(source, dtype, preset), presets=needs)
    with ExitStack() as imports:
        if alone:
            imports.enter_context(absent())
            import_transformers()
        pipeline = family.load(
            source, dtype=dtype, device=device, preset=preset, attention=model.attention
        )
    if model.compile:
        # torch's own folder is emptied when the machine starts. There is one folder per attention
        # kernel, because torch would reuse code that it compiled for another kernel.
        folder = cache_folder(model) / "compiled" / model.attention
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
        pipeline.compile()
    return pipeline


def _device(model: ModelConfig) -> torch.device:
    if model.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(model.device)


def _dtype(model: ModelConfig, device: torch.device) -> torch.dtype:
    if model.dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if model.dtype == "bfloat16" else torch.float32
