"""Denoising, from noise to latents: the only stage that runs once per timestep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

from uso_core.model.components import Components
from uso_core.model.conditioning import Conditioning
from uso_core.model.geometry import pack
from uso_core.model.hoisting import step_embeddings
from uso_core.model.schedule import make_scheduler
from uso_core.model.sizes import Size
from uso_core.runtime.step_cache import one_batch

OnStep = Callable[[int, int], None]
"""Called after each step with the number of steps done and the total."""
StepEnd = Callable[[int, torch.Tensor, torch.Tensor], "torch.Tensor | None"]
"""Called after each step with its number, from 0, its timestep and the tokens, `[B, L, 64]`.

It returns the tokens for the next step, or None to make this step the last."""


@dataclass(frozen=True, eq=False)
class Latents:
    """A denoised image, not yet decoded.

    Attributes:
        tokens: [1, H/16 * W/16, 64].
        size: size of the image, in pixels.
    """

    tokens: torch.Tensor
    size: Size


def make_noise(
    seed: int, size: Size, channels: int, *, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Generate the noise for `seed` on `device`, [1, channels, H/8, W/8].

    The same seed gives different noise on a different kind of device.
    """
    generator = torch.Generator(device).manual_seed(seed)
    shape = (1, channels, size.height // 8, size.width // 8)
    # Noise generated in bfloat16 is the same on a GPU, but on a CPU it depends on torch's version.
    return torch.randn(shape, generator=generator, device=device).to(dtype)


def denoise(
    components: Components,
    conditionings: Sequence[Conditioning],
    seeds: Sequence[int],
    on_step: OnStep | None = None,
    on_step_end: StepEnd | None = None,
) -> list[Latents]:
    """Denoise images that share a batch key together, with Euler steps.

    Nothing here waits for the device, except that a step cache reads one number at each step.

    An image that is denoised in a batch differs from the same image denoised alone only in the last
    bits: the device multiplies larger matrices, and so adds in another order. With a step cache,
    all images of a batch compute the same steps in full, so they may differ by more.

    Args:
        components: the models; only the transformer and its embedders are used.
        conditionings: one for each image.
        seeds: one for each image's noise.
        on_step: called when a step has been submitted to the device; an error that it raises ends
            the denoising.
        on_step_end: may change the tokens after each step.

    Raises:
        ValueError: the requests have different batch keys.
    """
    batch = _Batch.of(components, conditionings)
    size, steps = conditionings[0].batch_key.size, conditionings[0].batch_key.num_steps
    tokens = _noise(components.transformer, size, seeds, batch.context)
    with one_batch(components.transformer):
        for step, timestep in enumerate(batch.scheduler.timesteps):
            velocity = batch.velocity(step, tokens)
            tokens = batch.scheduler.step(velocity, timestep, tokens, return_dict=False)[0]
            if on_step is not None:
                on_step(step + 1, steps)
            if on_step_end is not None:
                changed = on_step_end(step, timestep, tokens)
                if changed is None:
                    break
                tokens = changed
    return [Latents(image, size) for image in tokens[:, None]]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Everything that is the same at every step, and the embeddings of all steps.

    Attributes:
        transformer: the transformer.
        scheduler: the steps.
        context: [B, T, D], the texts and styles.
        content: [B, C, 64], the content images' tokens.
        embeddings: [steps, B, D].
        rotary: the positions of the context, and of the image with its content.
    """

    transformer: FluxTransformer2DModel
    scheduler: FlowMatchEulerDiscreteScheduler
    context: torch.Tensor
    content: torch.Tensor
    embeddings: torch.Tensor
    rotary: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, components: Components, conditionings: Sequence[Conditioning]) -> _Batch:
        first = conditionings[0]
        key = first.batch_key
        if any(conditioning.batch_key != key for conditioning in conditionings):
            raise ValueError("only requests with the same batch key can be denoised together")
        scheduler = make_scheduler(
            key.num_steps, key.size, first.context.device, is_shifted=components.is_guided
        )
        embeddings = step_embeddings(
            components.time_text_embed,
            scheduler.sigmas[:-1],
            _guidance(conditionings) if components.is_guided else None,
            torch.cat([conditioning.pooled for conditioning in conditionings]),
        )
        return cls(
            transformer=components.transformer,
            scheduler=scheduler,
            context=torch.cat([conditioning.context for conditioning in conditionings]),
            content=torch.cat([conditioning.content for conditioning in conditionings]),
            embeddings=embeddings,
            rotary=(first.context_rotary, first.image_rotary),
        )

    def velocity(self, step: int, tokens: torch.Tensor) -> torch.Tensor:
        """Return the velocity of the tokens at a step, [B, L, 64]."""
        context_rotary, image_rotary = self.rotary
        predicted: torch.Tensor = self.transformer(
            hidden_states=torch.cat([tokens, self.content], dim=1),
            encoder_hidden_states=self.context,
            pooled_projections=self.embeddings[step],
            timestep=self.scheduler.sigmas[step].expand(len(tokens)),
            txt_ids=context_rotary,
            img_ids=image_rotary,
            return_dict=False,
        )[0]
        return predicted[:, : tokens.shape[1]]


def _noise(
    transformer: FluxTransformer2DModel, size: Size, seeds: Sequence[int], like: torch.Tensor
) -> torch.Tensor:
    """Generate the noise of all seeds as tokens like `like`, [B, H/16 * W/16, 64]."""
    channels = transformer.config.in_channels // 4
    noises = [
        make_noise(seed, size, channels, dtype=like.dtype, device=like.device) for seed in seeds
    ]
    return pack(torch.cat(noises))


def _guidance(conditionings: Sequence[Conditioning]) -> torch.Tensor:
    """Return each image's guidance scale, [B], float32."""
    # Not one tensor made from a list: the host would have to wait for that copy.
    device = conditionings[0].context.device
    return torch.cat([torch.full((1,), each.guidance, device=device) for each in conditionings])
