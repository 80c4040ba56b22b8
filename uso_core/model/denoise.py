"""From noise to latents: the only part that runs once for each timestep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import FluxTransformer2DModel

from uso_core.model.components import Components, step_embeddings
from uso_core.model.conditioning import Conditioning
from uso_core.model.geometry import pack
from uso_core.model.schedule import make_scheduler
from uso_core.model.sizes import Size
from uso_core.runtime.step_cache import one_drawing

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
    """The noise that `seed` stands for, [1, channels, H/8, W/8], drawn on `device`.

    A seed gives other noise on another kind of device.
    """
    generator = torch.Generator(device).manual_seed(seed)
    shape = (1, channels, size.height // 8, size.width // 8)
    # Drawn in bfloat16, it would be the same on a GPU, but on a CPU depend on torch's version.
    return torch.randn(shape, generator=generator, device=device).to(dtype)


def denoise(
    components: Components,
    conditionings: Sequence[Conditioning],
    seeds: Sequence[int],
    on_step: OnStep | None = None,
) -> list[Latents]:
    """Draw images of one form together, with Euler steps.

    Nothing here waits for the device, except that a step cache looks at one number at each step.

    An image that is drawn with others differs from the same one drawn alone by no more than what
    the order of additions does to the last bits: the device multiplies larger matrices otherwise.
    With a step cache, all images take the same steps whole, and so may differ by more.

    Args:
        components: of which the transformer and its embedders are used.
        conditionings: of each image's request.
        seeds: of each image's noise.
        on_step: called when a step was given to the device.

    Raises:
        ValueError: the requests have different forms.
    """
    batch_key = conditionings[0].batch_key
    if any(conditioning.batch_key != batch_key for conditioning in conditionings):
        raise ValueError("only requests of the same form are drawn together")
    transformer = components.transformer
    context = torch.cat([conditioning.context for conditioning in conditionings])
    content = torch.cat([conditioning.content for conditioning in conditionings])
    tokens = _noise(transformer, batch_key.size, seeds, context)
    scheduler = make_scheduler(
        batch_key.num_steps, batch_key.size, context.device, is_shifted=components.is_guided
    )
    embeddings = step_embeddings(
        components.time_text_embed,
        scheduler.sigmas[:-1],
        _guidance(conditionings) if components.is_guided else None,
        torch.cat([conditioning.pooled for conditioning in conditionings]),
    )
    with one_drawing(transformer):
        for step, timestep in enumerate(scheduler.timesteps):
            velocity = transformer(
                hidden_states=torch.cat([tokens, content], dim=1),
                encoder_hidden_states=context,
                pooled_projections=embeddings[step],
                timestep=scheduler.sigmas[step].expand(len(seeds)),
                txt_ids=conditionings[0].context_rotary,
                img_ids=conditionings[0].image_rotary,
                return_dict=False,
            )[0][:, : tokens.shape[1]]
            tokens = scheduler.step(velocity, timestep, tokens, return_dict=False)[0]
            if on_step is not None:
                on_step(step + 1, batch_key.num_steps)
    return [Latents(image, batch_key.size) for image in tokens[:, None]]


def _noise(
    transformer: FluxTransformer2DModel, size: Size, seeds: Sequence[int], like: torch.Tensor
) -> torch.Tensor:
    """Each seed's noise as tokens, [B, H/16 * W/16, 64]; dtype and device are those of `like`."""
    channels = transformer.config.in_channels // 4
    noises = [
        draw_noise(seed, size, channels, dtype=like.dtype, device=like.device) for seed in seeds
    ]
    return pack(torch.cat(noises))


def _guidance(conditionings: Sequence[Conditioning]) -> torch.Tensor:
    """Each image's guidance scale, [B], float32."""
    # Not one tensor from a list, which the host would have to wait for.
    device = conditionings[0].context.device
    return torch.cat([torch.full((1,), each.guidance, device=device) for each in conditionings])
