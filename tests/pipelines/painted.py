"""A pipeline whose images are flat colours that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tests.pipelines.tiny_models import Misbehaving
from uso_core.model.denoise import Latents
from uso_core.model.images import Pixels

BROWN = (141, 85, 36)
"""A flat skin tone, over the customary line of 0.2."""
GREEN = (0, 128, 0)
"""Far below it."""


class Painted(Misbehaving):
    """The tiny model, with a flat colour for each seed; green unless it is given."""

    def __init__(self, colours: Mapping[int, tuple[int, int, int]]) -> None:
        super().__init__()
        self._colours = colours

    def decode_pixels(self, latents: Latents) -> Pixels:
        colour = self._colours.get(self._seeds[latents], GREEN)
        pixels = super().decode_pixels(latents)
        levels = torch.tensor(colour, dtype=torch.uint8).expand_as(pixels.levels)
        return Pixels(levels.contiguous(), pixels.has_nan)
