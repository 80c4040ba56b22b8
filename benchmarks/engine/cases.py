"""Images to generate, and the ways to generate them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from uso_core.request import StylizeRequest

WayName = Literal[
    "original",
    "exact",
    "exact, compiled",
    "fp8, compiled",
    "fp8+cache, compiled",
    "draft",
    "draft, compiled",
    "low_vram",
    "tiny_vram",
]
"""The original's way, and the presets of `uso_core.presets`, compiled or not."""
WAYS: tuple[WayName, ...] = get_args(WayName)


@dataclass(frozen=True)
class Case:
    """The shape of one image.

    Attributes:
        width: output width, in pixels.
        height: output height, in pixels.
        content: long side of the content image, in pixels; 0 without one.
        batch: number of images generated together.
    """

    width: int
    height: int
    content: int
    batch: int = 1

    def __str__(self) -> str:
        references = "content + style" if self.content else "style only"
        together = f", {self.batch} together" if self.batch > 1 else ""
        return f"{self.width}x{self.height}, {references}{together}"

    def request(self, steps: int, number: int = 0) -> StylizeRequest:
        """Return a request of this shape; each number has another prompt and other references."""
        return StylizeRequest(
            prompt=f"picture number {number}, of a harbour in the evening",
            content_image=_noise(self.content or 64, number) if self.content else None,
            style_images=[_noise(64, 100 + number)],
            width=self.width,
            height=self.height,
            num_steps=steps,
            content_long_size=self.content or 64,
            seed=number,
        )


FULL = (
    Case(1024, 1024, 512),
    Case(1024, 1024, 0),
    Case(512, 512, 512),
    Case(512, 512, 512, batch=4),
    Case(1536, 1024, 512),
)
TINY = (Case(64, 64, 64), Case(64, 64, 0), Case(32, 32, 32), Case(32, 32, 32, batch=4))


def _noise(side: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
