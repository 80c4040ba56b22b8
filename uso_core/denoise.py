"""From noise to latents: the only part that runs once for each timestep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel

from uso_core.conditioning import Conditioning
from uso_core.geometry import pack
from uso_core.schedule import make_scheduler
from uso_core.sizes import Size

OnStep = Callable[[int, int], None]
"""Called after each step with how many are done, and of how many."""


@dataclass(frozen=True, eq=False)
class Latents:
    """What was drawn, before it is decoded.

    Attributes:
        tokens: [1, H/16 * W/16, 64].
        size: of the image, in pixels.
    """

    tokens: torch.Tensor
    size: Size


def draw_noise(
    seed: int, size: Size, channels: int, *, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """The noise that `seed` stands for, [1, channels, H/8, W/8], drawn on `device` in `dtype`.

    A seed gives other noise on another kind of device.
    """
    generator = torch.Generator(device).manual_seed(seed)
    shape = (1, channels, size.height // 8, size.width // 8)
    return torch.randn(shape, generator=generator, dtype=dtype, device=device)


def denoise(
    transformer: FluxTransformer2DModel,
    conditioning: Conditioning,
    seed: int,
    on_step: OnStep | None = None,
) -> Latents:
    """Draw with Euler steps. Nothing in the loop waits for the device.

    Args:
        transformer: without its embedders (see `hoist_embedders`).
        conditioning: of the request.
        seed: of the noise.
        on_step: called when a step was given to the device.
    """
    size, context = conditioning.size, conditioning.context
    channels = transformer.config.in_channels // 4
    tokens = pack(draw_noise(seed, size, channels, dtype=context.dtype, device=context.device))
    scheduler = make_scheduler(conditioning.num_steps, size, context.device)
    guidance = _guidance(transformer, conditioning)
    for step, timestep in enumerate(scheduler.timesteps):
        velocity = transformer(
            hidden_states=torch.cat([tokens, conditioning.content], dim=1),
            encoder_hidden_states=context,
            pooled_projections=conditioning.pooled,
            timestep=scheduler.sigmas[step].expand(1),
            guidance=guidance,
            txt_ids=conditioning.context_rotary,
            img_ids=conditioning.image_rotary,
            return_dict=False,
        )[0][:, : tokens.shape[1]]
        tokens = scheduler.step(velocity, timestep, tokens, return_dict=False)[0]
        if on_step is not None:
            on_step(step + 1, conditioning.num_steps)
    return Latents(tokens, size)


def _guidance(
    transformer: FluxTransformer2DModel, conditioning: Conditioning
) -> torch.Tensor | None:
    if not transformer.config.guidance_embeds:
        return None
    return torch.full((1,), conditioning.guidance, device=conditioning.context.device)
