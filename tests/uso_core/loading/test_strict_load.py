from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from safetensors.torch import save_file
from torch import nn

from uso_core.loading.strict_load import Destination, identity_rules, load_strictly, shapes_of
from uso_core.loading.tensor_files import Shape, TensorFiles, open_tensor_files

_LAYERS = 6


class WatchedFiles:
    """Weight files that record how many of their tensors are in use at once."""

    def __init__(self, files: TensorFiles) -> None:
        self.name = files.name
        self.shapes: Mapping[str, Shape] = files.shapes
        self.header = files.header
        self._files = files
        self._given: list[weakref.ref[torch.Tensor]] = []
        self.read_keys: list[str] = []
        self.most_in_use = 0

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> torch.Tensor:
        tensor = self._files.read(key, start, stop)
        self.read_keys.append(key)
        self._given.append(weakref.ref(tensor))
        in_use = sum(given() is not None for given in self._given)
        self.most_in_use = max(self.most_in_use, in_use)
        return tensor


def layers() -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(_LAYERS)))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_file(layers().state_dict(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_tensors_go_to_their_device_one_at_a_time(weights: Path, device: str) -> None:
    files = WatchedFiles(open_tensor_files([weights]))
    with init_empty_weights():
        module = layers()
    place = Destination(torch.bfloat16, torch.device(device))
    load_strictly(module, files, identity_rules(shapes_of(module)), place)
    assert sorted(files.read_keys) == sorted(files.shapes)
    assert files.most_in_use <= 2  # the current tensor, and the previous one
    assert {parameter.device.type for parameter in module.parameters()} == {device}
    assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}


def test_the_content_of_the_file_is_loaded(weights: Path) -> None:
    with init_empty_weights():
        module = layers()
    files = open_tensor_files([weights])
    place = Destination(torch.float32, torch.device("cpu"))
    load_strictly(module, files, identity_rules(shapes_of(module)), place)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, files.read(name))
