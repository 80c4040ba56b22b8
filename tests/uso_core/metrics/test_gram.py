"""The style loss is that of torchvision's VGG-19."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.uso_core.metrics.networks import Shown, vgg_tensors
from uso_core.errors import CheckpointError
from uso_core.metrics.gram import gram, squared_distance
from uso_core.metrics.weights import VGG19

CPU = torch.device("cpu")


def test_the_loss_is_torchvisions(
    files: Path, pictures: list[Shown], references: dict[str, Any]
) -> None:
    vectors = gram(VGG19.on_disk(str(files / "vgg19-dcbb9e9d.pth")), CPU)(pictures)
    for one, other, expected in references["gram"]:
        loss = squared_distance(vectors[one], vectors[other])
        assert loss == pytest.approx(expected, rel=2e-4, abs=1e-9)
        assert (loss > 0) == (one != other)


def test_another_networks_file_is_refused(tmp_path: Path) -> None:
    tensors = vgg_tensors()
    del tensors["features.28.weight"]
    torch.save(tensors, tmp_path / "vgg19-dcbb9e9d.pth")
    with pytest.raises(CheckpointError, match=r"is not VGG-19: it has no features\.28\.weight"):
        gram(VGG19.on_disk(str(tmp_path)), CPU)
