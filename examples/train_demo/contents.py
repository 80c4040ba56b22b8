"""Content pictures for training: drawn by procedure, or cropped from freely licensed photographs.

A picture is a uint8 array [192, 192, 3]. A scene also has a caption such as "a bridge at night".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from examples.train_demo.scenes import KINDS, TIMES, draw_scene

SIDE = 192
Picture = npt.NDArray[np.uint8]

LICENCES = {
    "brick.png": "CC0",
    "grass.png": "CC0",
    "gravel.png": "CC0",
    "retina.jpg": "CC0",
    "horse.png": "CC0",
    "cell.png": "CC0",
    "clock_motion.png": "public domain, released by the photographer",
    "hubble_deep_field.jpg": "public domain (NASA)",
    "coins.png": "no known copyright restrictions (Brooklyn Museum)",
    "ihc.png": "no known copyright restrictions (CMMI)",
}
"""Files of scikit-image's `data` folder, with the rights that the docstrings of `skimage.data`
state. Others state none (moon, motorcycle, page), or are held out (the demo's photographs)."""


def make_pool(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Return `count` pictures, [count, 192, 192, 3], and the caption of each; "" for no scene."""
    rng = np.random.default_rng(seed)
    photos = _photographs()
    pictures, captions = np.empty((count, SIDE, SIDE, 3), np.uint8), []
    for index in range(count):
        source = rng.choice(3, p=(0.45, 0.35, 0.2))
        if source == 0:
            kind, time = str(rng.choice(KINDS)), str(rng.choice(TIMES))
            pictures[index] = np.asarray(draw_scene(kind, time, SIDE, rng))
            captions.append(f"{kind}|{time}")
            continue
        captions.append("")
        pictures[index] = dead_leaves(rng) if source == 1 else _crop(photos, rng)
    return pictures, captions


def dead_leaves(rng: np.random.Generator) -> Picture:
    """Draw shaded shapes over one another, whose edges and spectra are like a photograph's."""
    image = Image.fromarray(_clouds(rng, _colour(rng), _colour(rng)))
    paints = [_paint(rng) for _ in range(rng.integers(3, 7))]
    for _ in range(int(rng.integers(4, 40))):
        radius = SIDE * 0.5 * min(1.0, 0.08 / rng.uniform(0.08, 1.0) ** 1.2)
        mask = _leaf(rng, radius)
        image.paste(paints[rng.integers(len(paints))], (0, 0), mask)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.choice([0.5, 0.8, 1.5])))))


def _paint(rng: np.random.Generator) -> Image.Image:
    base = _colour(rng)
    return Image.fromarray(_clouds(rng, base, np.clip(base * rng.uniform(0.4, 1.5), 0, 1)))


def _leaf(rng: np.random.Generator, radius: float) -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(mask)
    x, y = rng.uniform(0, SIDE, 2)
    form = rng.integers(4)
    if form == 0:
        stretch = rng.uniform(0.4, 1)
        draw.ellipse((x - radius, y - radius * stretch, x + radius, y + radius * stretch), fill=255)
    elif form == 3:
        angle, width = rng.uniform(0, np.pi), int(rng.integers(2, 9))
        dx, dy = np.cos(angle) * radius * 2, np.sin(angle) * radius * 2
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=255, width=width)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        radii = radius * rng.uniform(0.6, 1.3, len(angles))
        points = [
            (x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)
        ]
        draw.polygon(points, fill=255)
    return mask


def _clouds(
    rng: np.random.Generator, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> Picture:
    """Return fractal noise between two colours, over a slope of random direction."""
    noise = np.zeros((SIDE, SIDE))
    roughness = rng.uniform(0.35, 0.75)
    for octave, cells in enumerate((2, 5, 12, 29, 64, 128)):
        small = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
        noise += roughness**octave * np.asarray(
            small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        )
    ramp = np.linspace(-1, 1, SIDE)
    angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 2.5) * (np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None])
    mix = 0.5 + 0.22 * (rng.uniform(0.2, 1) * noise + slope)
    mix = np.clip(mix, 0, 1)[..., None]
    return np.asarray(255 * (low * (1 - mix) + high * mix), dtype=np.uint8)


def _colour(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    grey, tint = rng.uniform(0, 1), rng.uniform(-1, 1, 3) * rng.uniform(0, 0.45)
    return np.clip(grey + tint, 0, 1)


def _photographs() -> list[Image.Image]:
    import skimage  # noqa: PLC0415 - only its data folder is used, by the training alone

    folder = Path(skimage.__file__).parent / "data"
    return [_grey_to_8_bits(Image.open(folder / name)) for name in LICENCES]


def _grey_to_8_bits(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB") if image.mode in "1LPI" else image.convert("RGB")


def _crop(photos: list[Image.Image], rng: np.random.Generator) -> Picture:
    photo = photos[rng.integers(len(photos))]
    side = int(min(photo.size) * rng.uniform(0.3, 1.0))
    left, top = (int(rng.integers(length - side + 1)) for length in photo.size)
    crop = photo.crop((left, top, left + side, top + side))
    crop = crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    levels = (np.asarray(crop) / 255) ** rng.uniform(0.5, 1.8)
    if rng.random() < 0.6:
        levels = recolour(levels, rng)
    return np.asarray(255 * np.clip(levels, 0, 1), dtype=np.uint8)


def recolour(levels: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Mix the channels of a picture, 0 to 1, at random, keeping greys near grey."""
    mix = np.eye(3) * 0.6 + rng.dirichlet((0.6, 0.6, 0.6), 3) * 0.5
    tint = rng.uniform(-0.25, 0.25, 3)
    light = levels.mean(axis=2, keepdims=True)
    return np.asarray(levels @ mix.T + tint * light * (1 - light) * 4)
