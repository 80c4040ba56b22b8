"""Batches: content pictures of the pool in the sizes that the model learns, styles, references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from examples.train_demo.contents import SIDE, make_pool
from examples.train_demo.styles import (
    FAMILIES,
    Styles,
    luminance,
    palette_of,
    random_styles,
    render,
    stretched,
    vivid,
)

REFERENCE_SIDE = 128


class Pool:
    """Content pictures, drawn once and kept in a file.

    Args:
        folder: holds the file; it is written if missing.
        count: number of pictures.
        seed: seed of the pictures.
    """

    def __init__(self, folder: Path, count: int, seed: int) -> None:
        path = folder / f"pool-{count}-{seed}.npz"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            pictures, captions = make_pool(count, seed)
            np.savez(path, pictures=pictures, captions=np.array(captions))
        with np.load(path) as stored:
            self.pictures = torch.from_numpy(stored["pictures"]).permute(0, 3, 1, 2)
            self.captions = [str(caption) for caption in stored["captions"]]
        scenes = [index for index, caption in enumerate(self.captions) if caption]
        self.scenes = torch.tensor(scenes)

    def sample(
        self,
        count: int,
        height: int,
        width: int,
        generator: torch.Generator,
        *,
        whole: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pictures [count, 3, height, width], 0 to 1, and their indices.

        Args:
            count: number of pictures.
            height: in pixels.
            width: in pixels.
            generator: draws pictures and crops.
            whole: scenes alone, and only cut to the proportions.
        """
        if whole:
            index = self.scenes[torch.randint(len(self.scenes), (count,), generator=generator)]
        else:
            index = torch.randint(len(self.pictures), (count,), generator=generator)
        numbers = torch.rand(count, 4, generator=generator)
        longest = max(height, width)
        cuts = []
        for picture, (zoom, y, x, flip) in zip(self.pictures[index], numbers, strict=True):
            largest = SIDE * min(1.0, longest / 128)  # a small picture is a cut, not a reduction
            side = SIDE if whole else largest * (0.55 + 0.45 * float(zoom))
            tall, wide = round(side * height / longest), round(side * width / longest)
            top, left = (
                ((SIDE - tall) * (0.5 if whole else float(y))),
                (SIDE - wide) * (0.5 if whole else float(x)),
            )
            cut = picture[:, round(top) : round(top) + tall, round(left) : round(left) + wide]
            cuts.append(_resized(cut.flip(2) if flip > 0.5 and not whole else cut, height, width))
        return torch.stack(cuts), index


class StylePool:
    """Styles and a reference of each, drawn once and kept in a file.

    A quarter of the references are pictures of no family: they stand for brush strokes in their own
    colours, so that a painting, which the model has never seen, gives both.
    """

    def __init__(self, folder: Path, pool: Pool, count: int, seed: int) -> None:
        path = folder / f"styles-{count}-{seed}.pt"
        if not path.exists():
            generator = torch.Generator().manual_seed(seed)
            parts = [_draw_styles(pool, 50, generator) for _ in range(count // 50)]
            torch.save([torch.cat(column) for column in zip(*parts, strict=True)], path)
        family, angle, palette, self.pictures = torch.load(path, weights_only=True)
        self.styles = Styles(family, angle, palette)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Styles, torch.Tensor]:
        """Return styles and their references, [count, 3, 128, 128], 0 to 1."""
        index = torch.randint(len(self.pictures), (count,), generator=generator)
        return self.styles[index], self.pictures[index].float() / 255


def _draw_styles(pool: Pool, count: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    styles = random_styles(count, generator)
    pictures = references(pool, styles, generator)
    others = count // 4
    free, _ = pool.sample(others, REFERENCE_SIDE, REFERENCE_SIDE, generator)
    pictures[:others] = _painted(free, generator)
    styles.family[:others] = FAMILIES.index("strokes")
    styles.angle[:others] = 1
    styles.palette[:others] = vivid(palette_of(pictures[:others]))
    levels = (pictures * 255).round().to(torch.uint8)
    return styles.family, styles.angle, styles.palette, levels


def _painted(pictures: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Recolour pictures, and lay strokes of several sizes and directions over most of them."""
    count = len(pictures)
    mix = 0.5 * torch.eye(3) + 0.5 * torch.rand(count, 3, 3, generator=generator).pow(2)
    tint = 0.5 * (torch.rand(count, 3, 1, 1, generator=generator) - 0.5)
    light = luminance(pictures)[:, None]
    pictures = torch.einsum("bij,bjhw->bihw", mix, pictures) + tint * light * (1 - light) * 3
    size = int(torch.randint(2, 9, (1,), generator=generator))
    shape = (count, 1, REFERENCE_SIDE // 2, REFERENCE_SIDE // size)
    noise = functional.interpolate(
        torch.randn(shape, generator=generator), (REFERENCE_SIDE, REFERENCE_SIDE), mode="bilinear"
    )
    turned = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    strength = torch.rand(count, 1, 1, 1, generator=generator).pow(1.5) * 0.25
    return (pictures + strength * torch.where(turned, noise, noise.transpose(2, 3))).clamp(0, 1)


def references(pool: Pool, styles: Styles, generator: torch.Generator) -> torch.Tensor:
    """Draw a reference of each style, of another content and at one of a few scales."""
    count = len(styles.family)
    side = [128, 128, 160, 192][int(torch.randint(4, (1,), generator=generator))]
    pictures, _ = pool.sample(count, side, side, generator)
    styled = render(stretched(pictures), styles)
    return styled if side == REFERENCE_SIDE else _resized_batch(styled, REFERENCE_SIDE)


def mixed_pictures(pool: Pool, count: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Return plain and styled pictures, one to two, for the codec."""
    pictures, _ = pool.sample(count, side, side, generator)
    styled = count * 2 // 3
    pictures[:styled] = render(pictures[:styled], random_styles(styled, generator))
    return pictures


def _resized(picture: torch.Tensor, height: int, width: int) -> torch.Tensor:
    floats = picture[None].float() / 255
    scaled = functional.interpolate(floats, (height, width), mode="bilinear", antialias=True)
    return scaled[0].clamp(0, 1)


def _resized_batch(pictures: torch.Tensor, side: int) -> torch.Tensor:
    return functional.interpolate(
        pictures, (side, side), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 1)
