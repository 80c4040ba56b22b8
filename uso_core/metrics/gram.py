"""The style loss of Gatys et al.: distance of the Gram matrices of VGG-19's features.

Gatys, Ecker and Bethge 2016, Image Style Transfer Using Convolutional Neural Networks, CVPR,
equations 3 to 5: five layers with equal weights. Two things differ, so that its numbers cannot be
compared with the paper's: the weights are torchvision's, for normalized pixels, and each matrix is
divided by the number of positions, so that it does not grow with the picture.
"""

from __future__ import annotations

import math

import torch
from accelerate import init_empty_weights
from torch import nn

from uso_core.loading.component_files import ComponentFiles
from uso_core.loading.strict_load import Destination, identity_rules, load_strictly
from uso_core.loading.tensor_files import open_tensor_files, without_prefixes
from uso_core.metrics.embedding import Embedder
from uso_core.metrics.pixels import IMAGENET_MEAN, IMAGENET_STD, Crop
from uso_core.metrics.widths import layer_widths

GRAM_CROP = Crop(256, 224, IMAGENET_MEAN, IMAGENET_STD)
_STYLE_LAYERS = (0, 5, 10, 19, 28)  # conv1_1, conv2_1, conv3_1, conv4_1, conv5_1
_POOLS = (4, 9, 18, 27)
_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
_LATER = tuple(f"features.{at}." for at in (30, 32, 34))
_CLASSIFIER = ("classifier.", "pre_logits.", "head.")
_REMEMBERED = 32  # of 2.4 MB each


def gram(files: ComponentFiles, device: torch.device) -> Embedder:
    """Load VGG-19 up to conv5_1.

    The squared distance of two vectors is the style loss.

    Args:
        files: one file, on disk, with torchvision's or timm's names.
        device: the device that computes.

    Raises:
        CheckpointError: the file does not hold this model.
    """
    tensors = without_prefixes(open_tensor_files(files.weight_paths), _LATER + _CLASSIFIER)
    with init_empty_weights(include_buffers=False):
        module = _Vgg(layer_widths(tensors, "VGG-19", "features", _CONVOLUTIONS, dimensions=4))
    rules = identity_rules(module.state_dict())
    load_strictly(module, tensors, rules, Destination(torch.float32, device))
    return Embedder(module, GRAM_CROP, device, remembered=_REMEMBERED)


def squared_distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the squared Euclidean distance of two vectors `[d]`."""
    return float((one.double() - other.double()).square().sum())


class _Vgg(nn.Module):
    def __init__(self, widths: dict[int, tuple[int, int]]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReLU() for _ in range(max(_CONVOLUTIONS) + 2)]
        for at, (channels, filters) in widths.items():
            layers[at] = nn.Conv2d(channels, filters, 3, padding=1)
        for at in _POOLS:
            layers[at] = nn.MaxPool2d(2)
        self.features = nn.Sequential(*layers)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return scaled Gram matrices, `[n, d]`, of `[n, 3, H, W]` pixels."""
        matrices = []
        for at, layer in enumerate(self.features):
            pixels = layer(pixels)
            if at - 1 in _STYLE_LAYERS:  # after the ReLU
                matrices.append(_scaled_gram(pixels).flatten(1))
        return torch.cat(matrices, dim=1)


def _scaled_gram(features: torch.Tensor) -> torch.Tensor:
    """Return `[n, N, N]` of `[n, N, H, W]`, so that squared distances add up to the loss."""
    flat = features.flatten(2)
    filters, positions = flat.shape[1:]
    scale = 2 * filters * math.sqrt(len(_STYLE_LAYERS))
    return torch.bmm(flat, flat.transpose(1, 2)) / (positions * scale)
