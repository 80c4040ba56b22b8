"""Device memory that a model needs, computed from the headers of its files."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import torch
from torch import nn

from uso_core.loading.encoder_weights import encoder_files
from uso_core.loading.source import FoundModel, ModelSource, find_model, tiny_seed
from uso_core.loading.tensor_files import TensorFiles, open_tensor_files
from uso_core.loading.weights import empty_transformer
from uso_core.presets import EXACT, Preset
from uso_core.runtime.float8 import BLOCKS, is_float8_linear

WORKING_BYTES = 4 * 2**30
"""Memory besides the weights during generation at 1024x1024. Decoding takes the most, 3.0 GiB of
tensors. A worker decodes one row while it denoises the next, on a stream with its own memory pool.
So the peak of the next row is added: 0.6 GiB for a block, and as much to encode a content image of
512 pixels (2.5 GiB for 1024). Cached prompts, styles and content images take 0.25 GiB."""

_STREAMED_BLOCKS = 2  # one computes while the next is copied


def memory_needed(source: ModelSource, dtype: torch.dtype, preset: Preset = EXACT) -> int:
    """Return the free device memory, in bytes, to load and generate 1024x1024; 0 for a tiny model.

    Larger images need more: decoding takes 6.8 GiB at 1536x1536.

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    if tiny_seed(source.base) is not None:
        return 0
    generating = weights_bytes(source, dtype, preset) + WORKING_BYTES
    if preset.linears != "float8":
        return generating
    # Weights become float8 on the device, after everything has been loaded.
    return max(generating, weights_bytes(source, dtype, replace(preset, linears="as_loaded")))


def weights_bytes(source: ModelSource, dtype: torch.dtype, preset: Preset = EXACT) -> int:
    """Return the bytes of weights on the device during generation; 0 for a tiny model.

    LoRAs take none, because they are merged; nor do tensors in the files that are not loaded (T5's
    decoder, SigLIP's text model).

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    if tiny_seed(source.base) is not None:
        return 0
    model = find_model(source).downloaded()
    flux = transformer_bytes(empty_transformer(model), dtype, preset)
    projector = _bytes(open_tensor_files(model.components["projector"].weight_paths), torch.float32)
    if preset.encoders == "host":
        return flux + projector
    return flux + projector + _encoder_bytes(model, dtype)


def transformer_bytes(transformer: nn.Module, dtype: torch.dtype, preset: Preset) -> int:
    """Return the bytes that a transformer takes on the device; it may be on the meta device now."""
    sizes = {"": 0}  # of each block; "": of everything outside the blocks
    for name, module in transformer.named_modules():
        in_float8 = preset.linears != "as_loaded" and is_float8_linear(module, name)
        size = 1 if in_float8 else dtype.itemsize
        block = ".".join(name.split(".")[:2]) if name.startswith(BLOCKS) else ""
        own = sum(tensor.numel() for tensor in module.parameters(recurse=False))
        sizes[block] = sizes.get(block, 0) + own * size
    if preset.transformer == "device":
        return sum(sizes.values())
    rest = sizes.pop("")
    return rest + _STREAMED_BLOCKS * max(sizes.values())


def _encoder_bytes(model: FoundModel, dtype: torch.dtype) -> int:
    components = model.components
    return (
        _bytes(encoder_files("text_encoder", components["text_encoder"]), dtype)
        + _bytes(encoder_files("text_encoder_2", components["text_encoder_2"]), dtype)
        + _bytes(encoder_files("image_encoder", components["image_encoder"]), torch.float32)
        + _bytes(open_tensor_files(components["vae"].weight_paths), torch.float32)
    )


def _bytes(files: TensorFiles, dtype: torch.dtype) -> int:
    return dtype.itemsize * sum(map(prod, files.shapes.values()))
