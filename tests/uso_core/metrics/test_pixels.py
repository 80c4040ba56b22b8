"""Images are cut as torchvision cuts them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import torch

from tests.uso_core.metrics.networks import picture
from uso_core.metrics.pixels import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, Crop

NORMS = {"clip": (CLIP_MEAN, CLIP_STD), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}


def test_a_crop_has_torchvisions_pixels(references: dict[str, Any]) -> None:
    assert len(references["crops"]) == 24
    for golden in references["crops"]:
        width, height = golden["size"]
        mean, std = NORMS[golden["norm"]]
        crop = Crop(golden["resize"], golden["side"], mean, std)
        pixels = crop(picture(width * height, width, height))
        assert pixels.shape == (3, golden["side"], golden["side"])
        levels = pixels * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]
        square = (levels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
        assert sha256(square.numpy().tobytes()).hexdigest() == golden["sha256"], golden
        assert pixels.double().mean().item() == pytest.approx(golden["mean"], abs=1e-6)
        assert pixels.double().std().item() == pytest.approx(golden["std"], abs=1e-6)


def test_a_grey_image_counts_as_colour() -> None:
    grey = picture(1).convert("L")
    assert torch.equal(Crop(36, 32)(grey), Crop(36, 32)(grey.convert("RGB")))
