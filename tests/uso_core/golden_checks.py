"""Compares a traced case with the original's values, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import torch

from tests.uso_core.goldens import Case
from tests.uso_core.tracing import Trace
from uso_core.model.denoise import make_noise
from uso_core.model.geometry import unpack
from uso_core.model.hoisting import rotary_rows
from uso_core.model.sizes import Size

# The goldens were made with AVX-512; on AVX2, rounding differs by up to 1.4e-4.
SLACK = 1 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 2
EXACT = 0.0
EMBEDDINGS = SLACK * 1e-4
TOKENS = SLACK * 1e-5
LATENTS = SLACK * 1e-4
SIGMAS = 1e-6
LEVELS_OFF = 0.005
"""Maximum share of colour values that differ by a level: values on the edge between two levels."""


class GoldenMismatchError(AssertionError):
    """A stage differs from the original by more than its tolerance."""


def check_text(case: Case, trace: Trace) -> None:
    calls, golden = trace.calls, case.tensors
    _near("t5_input_ids", calls.kwargs["t5"][0]["input_ids"], golden["t5_input_ids"], EXACT)
    _near("clip_input_ids", calls.kwargs["clip"][0]["input_ids"], golden["clip_input_ids"], EXACT)
    t5_embeds = calls.results["t5"][0].last_hidden_state
    _near("t5_embeds", t5_embeds, golden["t5_embeds"], EMBEDDINGS)
    _near("clip_pooled", trace.conditioning.pooled, golden["clip_pooled"], EMBEDDINGS)
    context = trace.pipeline.components.context_embedder(golden["t5_embeds"])
    _near("context", trace.conditioning.context[:, -512:], context, EMBEDDINGS)


def check_content(case: Case, trace: Trace) -> None:
    if not case.has_content:
        assert trace.conditioning.content.shape[1] == 0
        return
    assert trace.prepared.content is not None
    golden = case.tensors
    pixels = torch.from_numpy(np.array(trace.prepared.content))
    _near("content_image", pixels, golden["content_image"], EXACT)
    moments = trace.calls.results["vae_encoder"][0]
    _near("content_moments", moments, golden["content_moments"], TOKENS)
    _near("content_tokens", trace.conditioning.content, golden["content_tokens"], TOKENS)
    latent = unpack(trace.conditioning.content, Size(*trace.prepared.content.size))
    _near("content_latent", latent, golden["content_latent"], TOKENS)


def check_styles(case: Case, trace: Trace) -> None:
    calls, golden = trace.calls, case.tensors
    assert len(calls.args["siglip"]) == case.num_styles
    for i in range(case.num_styles):
        pixels = calls.args["siglip"][i][0]
        _near(f"style{i}_pixel_values", pixels, golden[f"style{i}_pixel_values"], EXACT)
        for level in (2, 11, 20):
            name = f"style{i}_hidden_m{level}"
            hidden = calls.results["siglip"][i].hidden_states[-level]
            _near(name, hidden, golden[name], EMBEDDINGS)
    counts = [golden[f"style{i}_tokens"].shape[1] for i in range(case.num_styles)]
    for i, end in enumerate(accumulate(counts)):
        tokens = trace.conditioning.context[:, end - counts[i] : end]
        _near(f"style{i}_tokens", tokens, golden[f"style{i}_tokens"], TOKENS)
    assert trace.conditioning.context.shape[1] == sum(counts) + 512


def check_positions(case: Case, trace: Trace) -> None:
    names = ["img_ids", "content_ids"] if case.has_content else ["img_ids"]
    ids = torch.cat([case.tensors[name][0] for name in names])
    rotary = rotary_rows(trace.pipeline.components.pos_embed, ids)
    context = trace.conditioning.context
    no_place = rotary_rows(trace.pipeline.components.pos_embed, torch.zeros(context.shape[1], 3))
    for kwargs in trace.calls.kwargs["transformer"]:
        _near("img_ids", kwargs["img_ids"], rotary, EXACT)
        _near("txt_ids", kwargs["txt_ids"], no_place, EXACT)


def check_schedule(case: Case, trace: Trace) -> None:
    steps = trace.calls.kwargs["transformer"]
    given = torch.cat([kwargs["timestep"] for kwargs in steps])
    _near("step_timesteps", given, case.tensors["step_timesteps"], SIGMAS)
    times, guidance, _ = trace.calls.args["time_text_embed"][0]
    _near("times", times / 1000, given, SIGMAS)
    for scale in guidance / 1000:
        _near("guidance", scale[None], case.tensors["guidance"], EXACT)


def check_steps(case: Case, trace: Trace) -> None:
    golden, size = case.tensors, trace.prepared.size
    noise = make_noise(
        case.facts["seed"], size, 16, dtype=torch.float32, device=torch.device("cpu")
    )
    _near("noise", noise, golden["noise"], EXACT)
    n = golden["latents"].shape[2]
    steps = trace.calls.kwargs["transformer"]
    latents = [kwargs["hidden_states"][:, :n] for kwargs in steps] + [trace.latents.tokens]
    _near("latents[0]", latents[0], golden["latents"][0], EXACT)
    _near("latents", torch.stack(latents), golden["latents"], LATENTS)
    velocities = [result[0][:, :n] for result in trace.calls.results["transformer"]]
    _near("velocities", torch.stack(velocities), golden["velocities"], LATENTS)
    _near("final_latent", unpack(trace.latents.tokens, size), golden["final_latent"], LATENTS)


def check_image(case: Case, trace: Trace) -> None:
    _near("decoded", trace.calls.results["vae_decoder"][0], case.tensors["decoded"], LATENTS)
    image = torch.from_numpy(np.array(trace.image))
    golden = case.tensors["image"]
    _near("image", image, golden, 1)
    share = (image != golden).float().mean().item()
    if share > LEVELS_OFF:
        raise GoldenMismatchError(f"image: {share:.1%} of the values are a level off")


CHECKS: dict[str, Callable[[Case, Trace], None]] = {
    "text": check_text,
    "content": check_content,
    "styles": check_styles,
    "positions": check_positions,
    "schedule": check_schedule,
    "steps": check_steps,
    "image": check_image,
}


def _near(name: str, ours: torch.Tensor, golden: torch.Tensor, tolerance: float) -> None:
    if ours.shape != golden.shape:
        raise GoldenMismatchError(f"{name}: shape {list(ours.shape)}, not {list(golden.shape)}")
    off = (ours.double() - golden.double()).abs().max().item()
    if not off <= tolerance:
        raise GoldenMismatchError(f"{name}: off by {off:.2e}, more than {tolerance:.0e}")
