from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from diffusers.models.embeddings import Timesteps

from tests.uso_core.goldens import unit_rows, unit_tensors
from uso_core.model.denoise import make_noise
from uso_core.model.schedule import make_scheduler, shift_mu
from uso_core.model.sizes import Size

CPU = torch.device("cpu")


def schedule_id(row: dict[str, Any]) -> str:
    return f"{row['num_steps']}-{row['width']}x{row['height']}"


@pytest.mark.parametrize("row", unit_rows("get_schedule"), ids=schedule_id)
def test_sigmas_are_the_originals(row: dict[str, Any]) -> None:
    size = Size(row["effective_width"], row["effective_height"])
    assert shift_mu(size) == pytest.approx(row["mu"], abs=1e-12)
    sigmas = make_scheduler(row["num_steps"], size, CPU).sigmas
    golden = torch.tensor(row["timesteps"])
    assert sigmas.dtype == torch.float32
    assert (sigmas - golden).abs().max() < 1e-6


def test_mu_is_not_that_of_flux() -> None:
    assert shift_mu(Size(1024, 1024)) == pytest.approx(0.4675)


def test_time_embedding_is_the_originals() -> None:
    golden = unit_tensors("functions")
    embed = Timesteps(num_channels=256, flip_sin_to_cos=True, downscale_freq_shift=0)
    embedding = embed(golden["timestep_t"] * 1000)
    # Both round angles of up to 1000 radians to float32, but in a different order.
    assert (embedding - golden["timestep_embedding"]).abs().max() < 2e-4


@pytest.mark.parametrize("row", unit_rows("get_noise"), ids=lambda row: str(row["seed"]))
def test_noise_is_the_originals(row: dict[str, Any]) -> None:
    size = Size(row["width"], row["height"])
    noise = make_noise(row["seed"], size, 16, dtype=torch.float32, device=CPU)
    assert list(noise.shape) == row["shape"]
    assert hashlib.sha256(noise.numpy().tobytes()).hexdigest() == row["sha256_float32"]
    assert row["bf16_equals_rounded_float32"]
    half = make_noise(row["seed"], size, 16, dtype=torch.bfloat16, device=CPU)
    assert torch.equal(half, noise.to(torch.bfloat16))


def test_schnells_steps_are_evenly_spaced() -> None:
    sigmas = make_scheduler(4, Size(1024, 1024), CPU, is_shifted=False).sigmas
    torch.testing.assert_close(sigmas, torch.tensor([1, 0.75, 0.5, 0.25, 0]))
