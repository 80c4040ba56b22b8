"""Checkpoints to modify: the golden one, linked into another folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.uso_core.goldens import CHECKPOINT
from uso_core.loading.source import ModelSource
from uso_core.loading.weights import load_components
from uso_core.model.components import Components

CPU = torch.device("cpu")

DOWNLOADED = {
    "flux1-dev.safetensors": "FLUX.1-dev/flux1-dev.safetensors",
    "ae.safetensors": "FLUX.1-dev/ae.safetensors",
    "dit_lora.safetensors": "USO/uso_flux_v1.0/dit_lora.safetensors",
    "projector.safetensors": "USO/uso_flux_v1.0/projector.safetensors",
    "t5": "t5-xxl",
    "clip": "clip-vit-l14",
}
"""Path below `weights/` to which the original's downloader saves each file of the flat layout."""


def link_checkpoint(folder: Path, names: dict[str, str] | None = None) -> Path:
    """Link the golden checkpoint's files into `folder`, optionally under other `names`."""
    for file in CHECKPOINT.rglob("*"):
        if file.is_file():
            name = file.relative_to(CHECKPOINT).as_posix()
            for old, new in (names or {}).items():
                if name == old or name.startswith(f"{old}/"):
                    name = new + name.removeprefix(old)
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    return folder


def edit_tensors(path: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Replace a safetensors file with an edited copy."""
    tensors = load_file(path)
    edit(tensors)
    path.unlink()
    save_file(tensors, path)


def edit_json(path: Path, **values: object) -> None:
    """Replace a JSON file with a copy that has other values; None removes a key."""
    merged = json.loads(path.read_text()) | values
    path.unlink()
    path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))


def load(source: ModelSource | Path, dtype: torch.dtype = torch.float32) -> Components:
    """Load on the CPU."""
    if isinstance(source, Path):
        source = ModelSource(str(source))
    return load_components(source, dtype=dtype, device=CPU)


def states(components: Components) -> dict[str, torch.Tensor]:
    """Return every parameter and buffer of every model, by name."""
    modules = {
        name: module
        for name, module in vars(components).items()
        if isinstance(module, torch.nn.Module)
    }
    return {
        f"{name}.{key}": tensor
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }
