"""The tiny networks in their files, written once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.uso_core.metrics import networks

GOLDENS = Path(__file__).parents[2] / "goldens/scores/references.json"


@pytest.fixture(scope="session")
def references() -> dict[str, Any]:
    """Values that other libraries compute."""
    found: dict[str, Any] = json.loads(GOLDENS.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def pictures() -> list[networks.Shown]:
    """The pictures of the references."""
    sizes = ((45, 40), (50, 91), (128, 64), (33, 32))
    return [networks.Shown(networks.picture(at + 1, *size)) for at, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every network."""
    folder = tmp_path_factory.mktemp("networks")
    networks.save_clip(folder / "clip")
    networks.save_dino(folder / "dino")
    networks.save_csd(folder / "csd.pth", networks.csd_tensors())
    torch.save(networks.vgg_tensors(), folder / "vgg19-dcbb9e9d.pth")
    torch.save(networks.head_tensors(), folder / "head.pth")
    return folder
