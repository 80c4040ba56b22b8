"""The synthetic images of the golden tables: integer arithmetic only, so exact everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image

_WORD = np.uint64(0xFFFFFFFF)


def synth_image(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Generate gradient, checkers, discs and coarse noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    rgb = np.stack([_channel(x, y, c, seed) for c in range(3)], -1)
    makers = {
        "RGB": lambda: Image.fromarray(rgb),
        "RGBA": lambda: Image.fromarray(np.concatenate([rgb, _alpha(x, y)[..., None]], -1)),
        "L": lambda: Image.fromarray(rgb[..., 0]),
        "LA": lambda: Image.merge("LA", [Image.fromarray(v) for v in (rgb[..., 0], _alpha(x, y))]),
        "CMYK": lambda: _cmyk(rgb),
        "1": lambda: _black_and_white(rgb),
        "P": lambda: _palette(rgb, seed),
        "I;16": lambda: Image.fromarray(rgb[..., 0].astype(np.uint16) * 257),
    }
    return makers[mode]()


def image_sha256(image: Image.Image) -> str:
    """Hash mode, size and pixels."""
    head = f"{image.mode}:{image.width}x{image.height}:".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def _cmyk(rgb: npt.NDArray[np.uint8]) -> Image.Image:
    bands = [np.ascontiguousarray(rgb[..., i % 3] // (1 + i // 3)) for i in range(4)]
    return Image.merge("CMYK", [Image.fromarray(band) for band in bands])


def _black_and_white(rgb: npt.NDArray[np.uint8]) -> Image.Image:
    bits = ((rgb[..., 1] > 127) * 255).astype(np.uint8)
    return Image.fromarray(bits).convert("1", dither=Image.Dither.NONE)


def _palette(rgb: npt.NDArray[np.uint8], seed: int) -> Image.Image:
    image = Image.fromarray(rgb[..., 0] // 16)
    colours = [((n * 53 + 10 * seed) % 256, (n * 97 + 30) % 256, 255 - n * 16) for n in range(16)]
    image.putpalette([value for colour in colours for value in colour])
    return image


def _hash_words(n: int, seed: int) -> npt.NDArray[np.uint64]:
    x = (np.arange(n, dtype=np.uint64) + np.uint64(seed) * np.uint64(7919)) & _WORD
    for factor in (0x7FEB352D, 0x846CA68B):
        x = ((x ^ (x >> np.uint64(16))) * np.uint64(factor)) & _WORD
    return (x ^ (x >> np.uint64(15))) & _WORD


def _channel(
    x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], c: int, seed: int
) -> npt.NDArray[np.uint8]:
    height, width = x.shape
    g = (x * (3 + c + seed % 5) * 40 // width + y * (5 - c + seed % 3) * 30 // height) % 256
    k = 6 + (seed + 3 * c) % 7
    g = g + 60 * (((x // k) + (y // (k + 2))) % 2)
    for d in range(3):
        words = [int(word) for word in _hash_words(4, 100 * seed + 10 * c + d)]
        cx, cy = words[0] % width, words[1] % height
        radius = 3 + words[2] % max(2, min(width, height) // 2)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius * radius
        g = np.where(inside, words[3] % 256 + g // 4, g)
    columns, rows = (width + 3) // 4, (height + 2) // 3
    noise = (_hash_words(columns * rows, seed * 31 + c) % np.uint64(8)).astype(np.int64) * 6
    noise = noise.reshape(rows, columns).repeat(3, 0).repeat(4, 1)[:height, :width]
    levels: npt.NDArray[np.int64] = np.clip(g + noise, 0, 255)
    return levels.astype(np.uint8)


def _alpha(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    height, width = x.shape
    ramp = 255 * x // max(width - 1, 1)
    opaque = np.where((y // max(1, height // 5)) % 2 == 0, 255, ramp)
    return np.where((x // max(1, width // 6)) % 3 == 0, 0, opaque).astype(np.uint8)
