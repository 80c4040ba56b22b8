"""The timesteps of the Euler steps: mu, sigmas, and diffusers' scheduler configured with them."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from uso_core.model.sizes import Size
from uso_core.runtime.transfer import to_device

BASE_SEQ_LEN, MAX_SEQ_LEN = 256, 4096
BASE_SHIFT, MAX_SHIFT = 0.5, 1.15


def shift_mu(size: Size) -> float:
    """Return mu, the shift of the sigmas towards noise, for an image of `size` pixels.

    FLUX derives it from the number of tokens, 4096 at 1024x1024: mu = 1.15. USO divides the
    latents' area by 256 where FLUX divides by 4, which gives 64 and mu = 0.4675. The released
    weights are used with that value everywhere, so it is kept.
    """
    seq_len = (size.width // 8) * (size.height // 8) // 256
    slope = (MAX_SHIFT - BASE_SHIFT) / (MAX_SEQ_LEN - BASE_SEQ_LEN)
    return BASE_SHIFT + slope * (seq_len - BASE_SEQ_LEN)


def make_scheduler(
    num_steps: int, size: Size, device: torch.device, *, is_shifted: bool = True
) -> FlowMatchEulerDiscreteScheduler:
    """Return a new Euler scheduler, ready for the first of `num_steps` steps.

    Its `sigmas`, [num_steps + 1] float32 on `device`, fall from 1 to 0. Its `timesteps` stay on
    the host, because steps are counted there, not looked up.

    Args:
        num_steps: Euler steps.
        size: output size, in pixels.
        device: device of the sigmas.
        is_shifted: False leaves the sigmas evenly spaced, as schnell expects.
    """
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    sigmas = np.linspace(1, 1 / num_steps, num_steps)
    mu = shift_mu(size) if is_shifted else 0.0
    scheduler.set_timesteps(sigmas=sigmas, mu=mu)
    scheduler.sigmas = to_device(scheduler.sigmas, device)
    scheduler.set_begin_index(0)  # else the first step looks up its index and waits for the GPU
    return scheduler
