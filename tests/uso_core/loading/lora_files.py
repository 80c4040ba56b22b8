"""LoRA files for the tiny model, and the weights of that model before and after they are merged."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.uso_core.goldens import CHECKPOINT
from uso_core.loading.lora_updates import merge_updates
from uso_core.loading.source import ModelSource, find_model
from uso_core.loading.strict_load import shapes_of
from uso_core.loading.tensor_files import Shape, open_tensor_files
from uso_core.loading.user_lora import read_user_lora
from uso_core.loading.weights import empty_transformer

Tensors = dict[str, torch.Tensor]
RANK = 4


@functools.cache
def shapes() -> dict[str, Shape]:
    """Shapes of the tiny transformer: width 64, MLPs of 256, text of 24 and 32, rows by 64."""
    return shapes_of(empty_transformer(find_model(ModelSource(str(CHECKPOINT)))))


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers, the same at each call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@functools.cache
def base(name: str) -> torch.Tensor:
    """A random weight or bias of the transformer, before the merge."""
    return numbers(*shapes()[name], seed=list(shapes()).index(name))


def write(
    folder: Path, tensors: Tensors, header: dict[str, str] | None = None, name: str = "mine"
) -> Path:
    """Write a LoRA file."""
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, path, header)
    return path


def changes(path: Path, weight: float = 1.0) -> Tensors:
    """Return the sum that a file adds to each parameter that it changes."""
    updates = read_user_lora(open_tensor_files([path]), shapes(), weight)
    return {
        name: merge_updates([update], base(name), base(name)) - base(name)
        for name, update in updates.items()
    }


def check(found: Tensors, expected: Tensors) -> None:
    """Compare the sums parameter by parameter; no other parameter may change."""
    assert found.keys() == expected.keys()
    for name, change in expected.items():
        torch.testing.assert_close(found[name], change, atol=1e-5, rtol=1e-4)
