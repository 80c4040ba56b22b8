"""When the Euler steps are taken: mu, sigmas, and diffusers' scheduler set up with them."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from uso_core.model.sizes import Size
from uso_core.runtime.transfer import to_device

BASE_SEQ_LEN, MAX_SEQ_LEN = 256, 4096
BASE_SHIFT, MAX_SHIFT = 0.5, 1.15


def shift_mu(size: Size) -> float:
    """How far the sigmas of an image of `size` pixels are shifted towards noise.

    FLUX shifts by the number of tokens, 4096 at 1024x1024: mu = 1.15. USO divides the latents' area
    by 256 where FLUX divides by 4, which gives 64 and mu = 0.4675. The released weights are used
    with that everywhere, so it is kept.
    """
    seq_len = (size.width // 8) * (size.height // 8) // 256
    slope = (MAX_SHIFT - BASE_SHIFT) / (MAX_SEQ_LEN - BASE_SEQ_LEN)
    return BASE_SHIFT + slope * (seq_len - BASE_SEQ_LEN)


def make_scheduler(
    num_steps: int, size: Size, device: torch.device, *, is_shifted: bool = True
) -> FlowMatchEulerDiscreteScheduler:
    """A fresh Euler scheduler, ready for the first of `num_steps` steps.

    Its `sigmas`, [num_steps + 1] float32 on `device`, go from 1 to 0. Its `timesteps` stay on the
    host: a step is counted, and not looked up.

    Args:
        num_steps: Euler steps.
        size: of the output, in pixels.
        device: of the sigmas.
        is_shifted: False leaves the sigmas evenly spaced, as schnell takes them.
    """
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    sigmas = np.linspace(1, 1 / num_steps, num_steps)
    mu = shift_mu(size) if is_shifted else 0.0
    scheduler.set_timesteps(sigmas=sigmas, mu=mu)
    scheduler.sigmas = to_device(scheduler.sigmas, device)
    scheduler.set_begin_index(0)  # else the first step looks its index up, and waits for the GPU
    return scheduler
