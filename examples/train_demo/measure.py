"""Held-out pairs: contents and styles that training never draws, with the target of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image

from benchmarks.quality.metrics import Quality, mean_quality, quality
from examples.train_demo.codec import Basis, with_carrier
from examples.train_demo.contents import dead_leaves
from examples.train_demo.scenes import KINDS, TIMES, draw_scene
from examples.train_demo.styles import FAMILIES, Styles, random_styles, render, stretched
from uso_core import StylizeRequest, USOPipeline

DEMO = Path(__file__).parents[1] / "demo"
PHOTOS = ("astronaut.jpg", "cat.jpg", "coffee.webp", "rocket.jpg", "camera.png")
PAINTINGS = (
    "cafe-terrace.jpg",
    "church-at-auvers.jpg",
    "harvest.webp",
    "langlois-bridge.jpg",
    "painter-on-the-road.jpg",
)
_SEED = 20_261_129
_SIDE = 128
_BATCH = 14
DRAWN_STEPS = 4


@dataclass(frozen=True)
class HeldOut:
    """Pairs of a content and a style.

    Attributes:
        content: [N, 3, H, W], 0 to 1.
        styles: N styles.
        references: [N, 3, 128, 128].
        targets: like `content`.
    """

    content: torch.Tensor
    styles: Styles
    references: torch.Tensor
    targets: torch.Tensor


def held_out_pairs(count: int = 28, height: int = _SIDE, width: int = _SIDE) -> HeldOut:
    """Return `count` pairs, every family equally often; half of the contents are photographs."""
    rng = np.random.default_rng(_SEED)
    content = torch.stack([_content(index, rng, height, width) for index in range(count)])
    others = torch.stack([_content(index + 1, rng, _SIDE, _SIDE) for index in range(count)])
    styles = random_styles(count, torch.Generator().manual_seed(_SEED))
    family = torch.arange(count) % len(FAMILIES)
    angled = torch.isin(family, torch.tensor([1, 5]))
    angle = torch.where(angled, torch.arange(count) // len(FAMILIES) % 4, 0)
    styles = Styles(family, angle, styles.palette)
    references = render(stretched(others), styles)
    return HeldOut(content, styles, references, render(content, styles))


def _content(index: int, rng: np.random.Generator, height: int, width: int) -> torch.Tensor:
    if index % 2 == 0:
        return photo(PHOTOS[index // 2 % len(PHOTOS)], height, width)
    if index % 4 == 1:
        kind, time = KINDS[index // 4 * 5 % len(KINDS)], TIMES[index // 4 % len(TIMES)]
        scene = draw_scene(kind, time, max(height, width), rng)
    else:
        scene = Image.fromarray(dead_leaves(rng))
    return to_tensor(scene, height, width)


def photo(name: str, height: int = _SIDE, width: int = _SIDE) -> torch.Tensor:
    """Return a photograph or painting of the demo, its centre, [3, height, width], 0 to 1."""
    path = DEMO / ("photos" if name in PHOTOS else "paintings") / name
    return to_tensor(Image.open(path).convert("RGB"), height, width)


def to_tensor(image: Image.Image, height: int = _SIDE, width: int = _SIDE) -> torch.Tensor:
    """Return an image's centre in another size, [3, height, width], 0 to 1."""
    scale = min(image.width / width, image.height / height)
    wide, tall = width * scale, height * scale
    left, top = (image.width - wide) / 2, (image.height - tall) / 2
    box = (left, top, left + wide, top + tall)
    fitted = image.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float() / 255


def measured(pictures: torch.Tensor, targets: torch.Tensor) -> list[Quality]:
    """Compare pictures with their targets, both [N, 3, H, W], 0 to 1."""
    pairs = zip(_levels(pictures), _levels(targets), strict=True)
    return [quality(picture, target) for picture, target in pairs]


def summary(pictures: torch.Tensor, targets: torch.Tensor) -> Quality:
    """Return the means of `measured`."""
    return mean_quality(measured(pictures, targets))


def shown(measured: Quality) -> str:
    """Return metrics as text."""
    return f"{measured.decibels:.2f} dB, palette {measured.palette:.3f}, edges {measured.edges:.3f}"


def draw_through(
    pipeline: USOPipeline,
    pairs: HeldOut,
    *,
    references: Sequence[torch.Tensor] | None = None,
    first_seed: int = 0,
    num_steps: int = DRAWN_STEPS,
    **changes: Any,  # noqa: ANN401 - parameters of StylizeRequest
) -> torch.Tensor:
    """Draw held-out pairs with an exported model, as the pipeline does.

    Args:
        pipeline: the model.
        pairs: their contents and references.
        references: other styles than those of the pairs: a batch for each style.
        first_seed: seed of the first pair; the next have the next seeds.
        num_steps: denoising steps.
        **changes: other parameters of `StylizeRequest`.

    Returns:
        [N, 3, H, W], 0 to 1.
    """
    height, width = pairs.content.shape[2:]
    styles = [pairs.references] if references is None else references
    requests = [
        StylizeRequest(
            content_image=to_image(content),
            style_images=[to_image(batch[index]) for batch in styles],
            width=width,
            height=height,
            content_long_size=max(width, height),
            num_steps=num_steps,
        )
        for index, content in enumerate(pairs.content)
    ]
    drawn = []
    for start in range(0, len(requests), _BATCH):
        asked = [replace(each, **changes) for each in requests[start : start + _BATCH]]
        seeds = range(first_seed + start, first_seed + start + len(asked))
        latents = pipeline.denoise_batch([pipeline.condition(each) for each in asked], seeds)
        drawn += [to_tensor(pipeline.decode(each), height, width) for each in latents]
    return torch.stack(drawn)


@torch.no_grad()
def through_vae(vae: AutoencoderKL, basis: Basis, pictures: torch.Tensor) -> torch.Tensor:
    """Encode and decode pictures, with the carrier in between: the best that a model can draw."""
    latents = with_carrier(basis.encode(pictures))
    decoded: torch.Tensor = vae.decoder(latents)
    return ((decoded + 1) / 2).clamp(0, 1)


def to_image(picture: torch.Tensor) -> Image.Image:
    """Return [3, H, W], 0 to 1, as an image."""
    return Image.fromarray((picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _levels(pictures: torch.Tensor) -> list[np.ndarray]:
    levels = (pictures.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)
    return list(levels.numpy())
