"""Decoding, from latents to an image."""

from __future__ import annotations

from diffusers import AutoencoderKL

from uso_core.model.denoise import Latents
from uso_core.model.geometry import unpack
from uso_core.model.images import Pixels, tensor_to_pixels


def decode(vae: AutoencoderKL, latents: Latents) -> Pixels:
    """Decode latents in the VAE's own dtype, float32 unless it was loaded otherwise."""
    scaled = unpack(latents.tokens, latents.size).to(vae.dtype) / vae.config.scaling_factor
    pixels = vae.decode(scaled + vae.config.shift_factor, return_dict=False)[0]
    return tensor_to_pixels(pixels.float())
