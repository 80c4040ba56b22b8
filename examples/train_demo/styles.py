"""Styles as functions of a picture: a palette over its luminance, and a texture on the pixel grid.

The styled picture follows from the content and the style alone, so a model can be measured against
it. Textures repeat every 16 pixels, one token, so that each token has to draw the same pattern.
All functions take and return float32 batches, [B, 3, H, W] from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.nn import functional

FAMILIES = ("wash", "hatching", "halftone", "mosaic", "lines", "strokes", "poster")
ANGLES = 4
LEVELS = 8
"""Colours of a palette, from that of black to that of white."""
_ANGLED = (1, 5)  # families whose angle shows
LUMA = torch.tensor([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Styles:
    """A batch of styles.

    Attributes:
        family: [B], indices into `FAMILIES`.
        angle: [B], 0 to 3: steps of 45 degrees.
        palette: [B, LEVELS, 3], 0 to 1.
    """

    family: torch.Tensor
    angle: torch.Tensor
    palette: torch.Tensor

    def __getitem__(self, index: torch.Tensor | slice) -> Styles:
        return Styles(self.family[index], self.angle[index], self.palette[index])


def random_styles(count: int, generator: torch.Generator) -> Styles:
    """Draw styles; the sequence depends on the generator alone."""
    family = torch.randint(len(FAMILIES), (count,), generator=generator)
    angle = torch.randint(ANGLES, (count,), generator=generator)
    angle = torch.where(torch.isin(family, torch.tensor(_ANGLED)), angle, 0)
    return Styles(family, angle, _random_palettes(count, generator))


def luminance(pictures: torch.Tensor) -> torch.Tensor:
    """Return [B, H, W]."""
    return torch.einsum("bchw,c->bhw", pictures, LUMA)


def render(pictures: torch.Tensor, styles: Styles) -> torch.Tensor:
    """Draw each picture in its style."""
    light = luminance(pictures)
    soft = _blur(light, 1.0)
    index = torch.empty_like(light)
    for family in range(len(FAMILIES)):
        rows = styles.family == family
        if rows.any():
            index[rows] = _TEXTURES[family](light[rows], soft[rows], styles.angle[rows])
    return look_up(index, styles.palette)


def look_up(index: torch.Tensor, palette: torch.Tensor) -> torch.Tensor:
    """Return the colours of positions [B, H, W] in palettes, interpolated between their levels."""
    B, H, W = index.shape
    position = index.clamp(0, 1).reshape(B, -1) * (LEVELS - 1)
    low = position.floor().clamp(max=LEVELS - 2)
    part = (position - low)[..., None]
    at = low.long()[..., None].expand(-1, -1, 3)
    colours = palette.gather(1, at) * (1 - part) + palette.gather(1, at + 1) * part
    return colours.transpose(1, 2).reshape(B, 3, H, W)


def palette_of(pictures: torch.Tensor, levels: int = LEVELS) -> torch.Tensor:
    """Return the mean colours of quantiles of luminance, dark to light, [B, levels, 3]."""
    B = len(pictures)
    order = luminance(pictures).reshape(B, -1).argsort(dim=1)
    colours = pictures.reshape(B, 3, -1).gather(2, order[:, None].expand(-1, 3, -1))
    usable = colours.shape[2] // levels * levels
    return colours[..., :usable].reshape(B, 3, levels, -1).mean(3).transpose(1, 2)


def vivid(palette: torch.Tensor) -> torch.Tensor:
    """Move colours away from grey: the mean of many hues is duller than each of them."""
    grey = (palette @ LUMA)[..., None]
    return (grey + 1.6 * (palette - grey)).clamp(0, 1)


def stretched(pictures: torch.Tensor) -> torch.Tensor:
    """Stretch each picture's tones, so that as a reference it shows all of its palette."""
    light = luminance(pictures).flatten(1)[:, ::7]
    low, high = light.quantile(0.02, dim=1), light.quantile(0.98, dim=1)
    scale = 1 / (high - low).clamp(min=0.1)
    return ((pictures - low[:, None, None, None]) * scale[:, None, None, None]).clamp(0, 1)


def _random_palettes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Mix palettes of three hues whose luminance rises.

    None falls: a reference does not show which of its colours stands for black.
    """
    rand = torch.rand(count, 8, generator=generator)
    step = torch.linspace(0, 1, LEVELS)
    dark, light = 0.03 + 0.2 * rand[:, :1], 0.78 + 0.2 * rand[:, 1:2]
    luma = dark + (light - dark) * step
    first = 2 * math.pi * rand[:, 2]
    scheme = torch.randint(4, (count,), generator=generator)
    turn = torch.tensor([0.15, 0.6, 1.5, 3.0])[scheme] * (2 * (rand[:, 3] > 0.5) - 1)
    hues = torch.stack([first, first + turn * (0.3 + 0.5 * rand[:, 4]), first + turn], dim=1)
    chroma = 0.06 + torch.stack([rand[:, 5], rand[:, 6] * 1.4, rand[:, 7]], dim=1) * 0.22
    blue = _between(chroma * hues.cos(), step)
    red = _between(chroma * hues.sin(), step)
    channels = [luma + 1.402 * red, luma - 0.344 * blue - 0.714 * red, luma + 1.772 * blue]
    return torch.stack(channels, 2).clamp(0, 1)


def _between(anchors: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Interpolate three anchors, [B, 3], at `step`, 0 to 1."""
    position = step * 2
    low = position.floor().clamp(max=1).long()
    part = position - low
    return anchors[:, low] * (1 - part) + anchors[:, low + 1] * part


def _blur(light: torch.Tensor, sigma: float) -> torch.Tensor:
    _, H, W = light.shape
    return _blur_matrix(H, sigma) @ light @ _blur_matrix(W, sigma).T


@lru_cache
def _blur_matrix(side: int, sigma: float) -> torch.Tensor:
    """Return the matrix that blurs a column of pixels, [side, side], its ends repeated."""
    places = torch.arange(side)
    radius = math.ceil(2.5 * sigma)
    matrix = torch.zeros(side, side)
    for offset in range(-radius, radius + 1):
        weight = math.exp(-(offset**2) / (2 * sigma**2))
        sources = (places + offset).clamp(0, side - 1)
        matrix.index_put_((places, sources), torch.tensor(weight), accumulate=True)
    return matrix / matrix.sum(1, keepdim=True)


def _wave(light: torch.Tensor, angle: torch.Tensor, period: int) -> torch.Tensor:
    """Return a triangle wave from 0 to 1 across each picture's angle."""
    _, H, W = light.shape
    ys, xs = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    phases = torch.stack([ys, xs + ys, xs, xs - ys])[angle].float() / period
    return (2 * (phases % 1) - 1).abs()


def _inked(tone: torch.Tensor, screen: torch.Tensor, sharpness: float) -> torch.Tensor:
    """Print a tone through a screen from 0 to 1: the darker, the more of the screen is ink."""
    ink = torch.sigmoid((screen - (0.1 + 0.8 * tone)) * sharpness)
    return (0.65 + 0.35 * tone) * (1 - ink) + 0.35 * tone * ink


def _wash(_light: torch.Tensor, soft: torch.Tensor, _angle: torch.Tensor) -> torch.Tensor:
    return _blur(soft, 2.2)


def _hatching(_light: torch.Tensor, soft: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    return _inked(soft, _wave(soft, angle, 8), 9)


def _halftone(_light: torch.Tensor, soft: torch.Tensor, _angle: torch.Tensor) -> torch.Tensor:
    _, H, W = soft.shape
    down, across = (torch.cos(torch.arange(side) * math.tau / 8) for side in (H, W))
    return _inked(soft, 0.5 + (down[:, None] + across) / 4, 11)


def _mosaic(light: torch.Tensor, _soft: torch.Tensor, _angle: torch.Tensor) -> torch.Tensor:
    _, H, W = light.shape
    tiles = functional.avg_pool2d(light[:, None], 4)
    tiles = functional.interpolate(tiles, scale_factor=4.0, mode="nearest")[:, 0]
    down, across = (torch.arange(side) % 4 == 3 for side in (H, W))
    return tiles - 0.28 * (down[:, None] | across)


def _lines(_light: torch.Tensor, soft: torch.Tensor, _angle: torch.Tensor) -> torch.Tensor:
    # A pen follows the dark side of each edge: ink lies where a place is darker than its environs.
    around = _blur(soft, 3.0)
    ink = torch.sigmoid((around - _blur(soft, 0.7) - 0.03) * 75)
    return 0.97 - 0.2 * (1 - around) - 0.72 * ink


def _strokes(_light: torch.Tensor, soft: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    _, H, W = soft.shape
    tiles = _stroke_tiles()[angle].repeat(1, H // 16 + 1, W // 16 + 1)[:, :H, :W]
    return _blur(soft, 0.7) + 0.11 * tiles


def _poster(_light: torch.Tensor, soft: torch.Tensor, _angle: torch.Tensor) -> torch.Tensor:
    position = soft * 3
    low = position.floor()
    return (low + ((position - low - 0.36) / 0.28).clamp(0, 1)) / 3 * 1.1 - 0.05


@lru_cache
def _stroke_tiles() -> torch.Tensor:
    """Return a periodic tile of brush strokes for each angle, [ANGLES, 16, 16]."""
    noise = torch.randn(16, 16, generator=torch.Generator().manual_seed(7))
    steps = ((0, 1), (-1, 1), (1, 0), (1, 1))
    tiles = []
    for down, across in steps:
        shifted = [torch.roll(noise, (down * i, across * i), (0, 1)) for i in range(-3, 4)]
        tile = torch.stack(shifted).mean(0)
        for side in (down, -across), (-down, across):  # a brush is some pixels wide
            tile = tile + 0.6 * torch.roll(tile, (side[1], side[0]), (0, 1))
        tiles.append((tile - tile.mean()) / tile.std())
    return torch.stack(tiles)


_TEXTURES = (_wash, _hatching, _halftone, _mosaic, _lines, _strokes, _poster)
