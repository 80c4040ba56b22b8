"""Small image files of every format, made on the spot."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def picture(width: int = 48, height: int = 32, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A smooth gradient with a little noise: compresses, but not to nothing."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).integers(0, 16, (height, width, 3))
    levels = np.stack([x * 5, y * 7, (x + y) * 3], axis=-1) % 240 + noise
    return Image.fromarray(levels.astype(np.uint8)).convert(mode)


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
