"""How much memory a model's weights take, from the headers of its files."""

from __future__ import annotations

from math import prod

import torch

from uso_core.checkpoint import ModelSource, find_model, tiny_seed
from uso_core.layouts import PartName
from uso_core.tensor_files import open_tensor_files

_IN_DTYPE: tuple[PartName, ...] = ("transformer", "text_encoder", "text_encoder_2")
_IN_FLOAT32: tuple[PartName, ...] = ("vae", "image_encoder", "projector")


def weights_bytes(source: ModelSource, dtype: torch.dtype) -> int:
    """Bytes that `load_components` puts on its device, at most; 0 for a tiny model.

    The LoRA counts nothing, because it is merged. Files that also hold what is not loaded (SigLIP's
    text model) count as a whole, which is less than what drawing needs beside the weights.

    Raises:
        CheckpointError: a file is missing or cannot be read.
    """
    if tiny_seed(source.base) is not None:
        return 0
    parts = find_model(source).downloaded().parts
    sizes = dict.fromkeys(_IN_DTYPE, dtype.itemsize)
    sizes |= dict.fromkeys(_IN_FLOAT32, torch.float32.itemsize)
    return sum(
        size * sum(map(prod, open_tensor_files(parts[name].weight_paths).shapes.values()))
        for name, size in sizes.items()
    )
