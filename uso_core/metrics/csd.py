"""CSD, contrastive style descriptors: a vision transformer of CLIP with a projection for style.

Somepalli et al. 2024, Measuring Style Similarity in Diffusion Models, arXiv 2404.01292. The score
of two images is the cosine of their style descriptors.

The published file is a whole training checkpoint: `model_state_dict` beside the optimizer's state
and the arguments of the training, keys with the prefix `module.`. Conversions to safetensors hold
the same tensors without the prefix. The tensors have the names of OpenAI's CLIP.
"""

from __future__ import annotations

import argparse
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles
from uso_core.loading.key_mapping import Rule
from uso_core.loading.strict_load import Destination, load_strictly
from uso_core.loading.tensor_files import Shape, TensorFiles, open_tensor_files, without_prefixes
from uso_core.metrics.embedding import Embedder
from uso_core.metrics.encoders import CLIP_CROP
from uso_core.metrics.pixels import Crop

_STYLE = "last_layer_style"
_UNUSED = ("last_layer_content", "backbone.proj")
_HEAD_WIDTH = 64  # of every vision transformer of OpenAI's CLIP
_TOP = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
}
_NORMS = {"ln_pre": "pre_layrnorm", "ln_post": "post_layernorm"}
_IN_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_QKV = ("q_proj", "k_proj", "v_proj")


def csd(files: ComponentFiles, device: torch.device) -> Embedder:
    """Load CSD; an image's vector is its style descriptor before normalization, `[768]`.

    Args:
        files: one file, on disk.
        device: the device that computes.

    Raises:
        CheckpointError: the file does not hold this model.
    """
    tensors = without_prefixes(_tensors(files.weight_paths[0]), _UNUSED)
    config = _config(tensors)
    with init_empty_weights(include_buffers=False):
        module = _Csd(config, tensors.shapes[_STYLE])
    load_strictly(module, tensors, _rules(config), Destination(torch.float32, device))
    side = int(config.image_size)
    return Embedder(module, Crop(side, side, CLIP_CROP.mean, CLIP_CROP.std), device)


class _Csd(nn.Module):
    def __init__(self, config: CLIPVisionConfig, style: Shape) -> None:
        super().__init__()
        self.backbone = CLIPVisionModel(config)
        self.last_layer_style = nn.Parameter(torch.empty(style))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return style descriptors, `[n, d]`, of `[n, 3, H, W]` pixels."""
        described: torch.Tensor = self.backbone(pixel_values=pixels).pooler_output
        return described @ self.last_layer_style


def _config(tensors: TensorFiles) -> CLIPVisionConfig:
    """Return the dimensions, which the shapes of the tensors give."""
    shapes = tensors.shapes
    for key in (_STYLE, "backbone.conv1.weight", "backbone.positional_embedding"):
        if key not in shapes:
            raise CheckpointError(
                tensors.name,
                f"is not CSD: it has no {key}; give the file that docs/scores.md names",
            )
    width, _, patch, _ = shapes["backbone.conv1.weight"]
    layers = {key.split(".")[3] for key in shapes if key.startswith("backbone.transformer.")}
    side = round((shapes["backbone.positional_embedding"][0] - 1) ** 0.5) * patch
    inner = shapes.get("backbone.transformer.resblocks.0.mlp.c_fc.weight", (4 * width,))[0]
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        image_size=side,
        patch_size=patch,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
    )


def _rules(config: CLIPVisionConfig) -> list[Rule]:
    with init_empty_weights(include_buffers=False):
        prefix = _prefix(CLIPVisionModel(config))
    return [Rule(_STYLE, (_STYLE,)), *_backbone_rules(prefix, int(config.num_hidden_layers))]


def _prefix(model: CLIPVisionModel) -> str:
    """Return the start of the names in transformers' model, which depends on its version."""
    name = next(name for name in model.state_dict() if name.endswith("class_embedding"))
    return f"backbone.{name.removesuffix('embeddings.class_embedding')}"


def _backbone_rules(prefix: str, layers: int) -> Iterator[Rule]:
    for source, target in _TOP.items():
        yield Rule(f"backbone.{source}", (prefix + target,))
    for kind in ("weight", "bias"):
        for source, target in _NORMS.items():
            yield Rule(f"backbone.{source}.{kind}", (f"{prefix}{target}.{kind}",))
        for layer in range(layers):
            block = f"backbone.transformer.resblocks.{layer}"
            ours = f"{prefix}encoder.layers.{layer}"
            yield Rule(
                f"{block}.attn.in_proj_{kind}",
                tuple(f"{ours}.self_attn.{each}.{kind}" for each in _QKV),
            )
            for source, target in _IN_LAYER.items():
                yield Rule(f"{block}.{source}.{kind}", (f"{ours}.{target}.{kind}",))


def _tensors(path: Path) -> TensorFiles:
    if path.suffix == ".safetensors":
        return open_tensor_files([path])
    return _Checkpoint(str(path), _state(path))


@dataclass(frozen=True)
class _Checkpoint:
    name: str
    tensors: Mapping[str, torch.Tensor]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}

    @property
    def header(self) -> Mapping[str, str]:
        return {}

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        return self.tensors[key][start:stop]


def _state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a training checkpoint; nothing in it is run.

    Besides tensors, its pickle names a plain container of the training's arguments and numpy's
    numbers. These types are allowed, and no others.
    """
    try:
        with torch.serialization.safe_globals(_allowed()):
            loaded = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            str(path), f"cannot be read ({error}); if its download was cut off, fetch it again"
        ) from error
    state = loaded.get("model_state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not all(torch.is_tensor(each) for each in state.values()):
        raise CheckpointError(str(path), "does not hold a mapping of names to tensors")
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def _allowed() -> list[Any]:
    scalar = import_module("numpy._core.multiarray").scalar
    numbers = [np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType]
    old_name = (scalar, "numpy.core.multiarray.scalar")  # of numpy 1, which wrote the file
    return [argparse.Namespace, np.dtype, *numbers, scalar, old_name]
