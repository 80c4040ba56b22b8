"""How much of a device's memory a model needs, from the headers of its files."""

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
"""For what is there besides the weights while 1024x1024 is drawn. Decoding takes the most, 3.0 GiB
of tensors. A worker decodes beside the next row, on a stream whose memory is a pool of its own: to
it comes the most of what that row needs, 0.6 in a block and as much to encode a content image of
512 pixels (2.5 for one of 1024). Prompts, styles and contents that are kept take 0.25."""

_BLOCKS_AT_A_TIME = 2  # when they are streamed: one at work, one on its way


def memory_needed(source: ModelSource, dtype: torch.dtype, preset: Preset = EXACT) -> int:
    """Bytes that a device must have free to load and to draw 1024x1024; 0 for a tiny model.

    Larger images need more: decoding takes 6.8 GiB at 1536x1536.

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    if tiny_seed(source.base) is not None:
        return 0
    drawing = weights_bytes(source, dtype, preset) + WORKING_BYTES
    if preset.linears != "float8":
        return drawing
    # What is computed in float8 is made so on the device, after all is loaded.
    return max(drawing, weights_bytes(source, dtype, replace(preset, linears="as_loaded")))


def weights_bytes(source: ModelSource, dtype: torch.dtype, preset: Preset = EXACT) -> int:
    """Bytes of weights that are on the device while an image is drawn; 0 for a tiny model.

    LoRAs count nothing, because they are merged; nor does what files hold and is not loaded (T5's
    decoder, SigLIP's text model).

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    if tiny_seed(source.base) is not None:
        return 0
    model = find_model(source).downloaded()
    flux = transformer_bytes(empty_transformer(model), dtype, preset)
    projector = _bytes(open_tensor_files(model.parts["projector"].weight_paths), torch.float32)
    if preset.encoders == "host":
        return flux + projector
    return flux + projector + _encoder_bytes(model, dtype)


def transformer_bytes(transformer: nn.Module, dtype: torch.dtype, preset: Preset) -> int:
    """Bytes on the device of a transformer, which may be on the meta device."""
    sizes = {"": 0}  # of each block, and of all that is in none
    for name, module in transformer.named_modules():
        in_float8 = preset.linears != "as_loaded" and is_float8_linear(module, name)
        size = 1 if in_float8 else dtype.itemsize
        block = ".".join(name.split(".")[:2]) if name.startswith(BLOCKS) else ""
        own = sum(tensor.numel() for tensor in module.parameters(recurse=False))
        sizes[block] = sizes.get(block, 0) + own * size
    if preset.transformer == "device":
        return sum(sizes.values())
    rest = sizes.pop("")
    return rest + _BLOCKS_AT_A_TIME * max(sizes.values())


def _encoder_bytes(model: FoundModel, dtype: torch.dtype) -> int:
    parts = model.parts
    return (
        _bytes(encoder_files("text_encoder", parts["text_encoder"]), dtype)
        + _bytes(encoder_files("text_encoder_2", parts["text_encoder_2"]), dtype)
        + _bytes(encoder_files("image_encoder", parts["image_encoder"]), torch.float32)
        + _bytes(open_tensor_files(parts["vae"].weight_paths), torch.float32)
    )


def _bytes(files: TensorFiles, dtype: torch.dtype) -> int:
    return dtype.itemsize * sum(map(prod, files.shapes.values()))
