"""Trains the VAE's decoder; the transformer learns meanwhile, since the latents are known."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import nn

from examples.train_demo.codec import Basis, with_carrier
from examples.train_demo.data import Pool, mixed_pictures
from examples.train_demo.dimensions import autocast
from examples.train_demo.training import History, Plan, decibels, run_stage

_SIDES = (64, 64, 96, 128, 128, 160, 192)
"""Its norms and its attention look at the whole picture, so one size would fit that size alone."""
_PIXELS = 9 * 64**2
_NOISE = 0.06
"""Deviation of noise on the latents: what the transformer draws is not exact either."""


def train_decoder(
    vae: AutoencoderKL, basis: Basis, pool: Pool, folder: Path, minutes: float
) -> History:
    """Train the decoder of `vae` in place."""
    decoder = vae.decoder

    def loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        side = _SIDES[int(torch.randint(len(_SIDES), (1,), generator=generator))]
        pictures = mixed_pictures(pool, max(2, _PIXELS // side**2), side, generator)
        latents = with_carrier(basis.encode(pictures))
        noise = torch.randn(latents.shape, generator=generator)
        with autocast():
            drawn = (decoder(latents + _NOISE * noise).float() + 1) / 2
        error = drawn - pictures
        squared = error.pow(2).mean()
        return {"loss": error.abs().mean() * 0.3 + 4 * squared, "squared": squared}

    def show(module: nn.Module) -> None:
        pictures = mixed_pictures(pool, 12, 128, torch.Generator().manual_seed(3))
        with torch.no_grad():
            drawn = ((module(with_carrier(basis.encode(pictures))) + 1) / 2).clamp(0, 1)
        linear = basis.decode(basis.encode(pictures)).clamp(0, 1)
        errors = [decibels(float((each - pictures).pow(2).mean())) for each in (drawn, linear)]
        print(f"decoder: {errors[0]:.2f} dB; linear {errors[1]:.2f} dB", flush=True)  # noqa: T201
        save_grid([pictures, linear, drawn], folder / "decoder.png")

    return run_stage(Plan("decoder", minutes, 3e-3), decoder, loss, folder, show=show)


def save_grid(rows: list[torch.Tensor], path: Path) -> None:
    """Save batches of pictures, 0 to 1, as the rows of one picture."""
    joined = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    levels = (joined.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    Image.fromarray(levels.numpy()).save(path)
