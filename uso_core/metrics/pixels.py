"""The pixels that a network of the literature is shown: resized, cropped and normalized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Crop:
    """The middle of an image, as torchvision's `Resize`, `CenterCrop` and `Normalize` give it.

    transformers' image processors are not used: they cut an odd remainder on the other side, and
    DINO's squeezes an image to a square instead of cutting it.

    Attributes:
        resize: pixels of the short side after resizing, bicubic.
        side: pixels of the sides of the square that is cut out; at most `resize`.
        mean: mean of each channel, 0 to 1.
        std: standard deviation of each channel.
    """

    resize: int
    side: int
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the normalized pixels, `[3, side, side]`, float32."""
        resized = image.convert("RGB").resize(self._size(image), Image.Resampling.BICUBIC)
        left, top = (round((pixels - self.side) / 2.0) for pixels in resized.size)
        square = resized.crop((left, top, left + self.side, top + self.side))
        levels = torch.from_numpy(np.array(square)).permute(2, 0, 1).to(torch.float32) / 255
        mean, std = (torch.tensor(three)[:, None, None] for three in (self.mean, self.std))
        return (levels - mean) / std

    def _size(self, image: Image.Image) -> tuple[int, int]:
        short, long = min(image.size), max(image.size)
        other = int(self.resize * long / short)
        return (self.resize, other) if image.width <= image.height else (other, self.resize)
