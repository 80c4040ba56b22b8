"""Images generated in a batch equal images generated alone, up to the last bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.uso_core.synth import synth_image
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest

LATENTS_TOLERANCE = 1e-4  # the goldens' tolerance
LEVELS_TOLERANCE = 1


def alike(index: int) -> StylizeRequest:
    """Return requests with the same batch key that differ in everything else."""
    return StylizeRequest(
        prompt=f"number {index}",
        content_image=synth_image(64, 48, "RGB", index),
        style_images=[synth_image(40, 40, "RGB", 10 + index)],
        width=64,
        height=48,
        num_steps=3,
        guidance=1.0 + index,
        content_long_size=64,
        seed=index,
    )


@pytest.mark.parametrize("count", [2, 4])
def test_together_or_alone_is_the_same_image(count: int, golden_pipeline: USOPipeline) -> None:
    requests = [replace(alike(i), style_weights=[0.5 * i]) for i in range(count)]
    conditionings = [golden_pipeline.condition(request) for request in requests]
    together = golden_pipeline.denoise_batch(conditionings, range(count))
    for seed, (conditioning, latents) in enumerate(zip(conditionings, together, strict=True)):
        alone = golden_pipeline.denoise(conditioning, seed)
        off = (latents.tokens - alone.tokens).abs().max().item()
        assert off <= LATENTS_TOLERANCE
        images = [np.asarray(golden_pipeline.decode(each)) for each in (latents, alone)]
        levels = np.abs(images[0].astype(int) - images[1].astype(int))
        assert levels.max() <= LEVELS_TOLERANCE
        assert (levels > 0).mean() < 0.01


def test_requests_of_one_batch_key_generate_different_images(golden_pipeline: USOPipeline) -> None:
    """Detect an image that got another one's prompt, style, content or guidance."""
    change = [
        {"prompt": "another"},
        {"style_images": [synth_image(40, 40, "RGB", 99)]},
        {"content_image": synth_image(64, 48, "RGB", 99)},
        {"guidance": 4.5},
        {"style_weights": [0.5]},
    ]
    base = golden_pipeline.denoise(golden_pipeline.condition(alike(0)), 0)
    for fields in change:
        other = golden_pipeline.condition(replace(alike(0), **fields))  # type: ignore[arg-type]
        tokens = golden_pipeline.denoise(other, 0).tokens
        assert (tokens - base.tokens).abs().max() > 10 * LATENTS_TOLERANCE, fields


def test_one_alone_is_a_batch_of_one(golden_pipeline: USOPipeline) -> None:
    conditioning = golden_pipeline.condition(alike(0))
    (batched,) = golden_pipeline.denoise_batch([conditioning], [7])
    assert torch.equal(batched.tokens, golden_pipeline.denoise(conditioning, 7).tokens)


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 48},
        {"num_steps": 2},
        {"style_images": []},
        {"content_image": None},
        {"content_image": synth_image(48, 64)},  # the same number of tokens, at other positions
    ],
)
def test_other_batch_keys_are_refused(
    fields: dict[str, object], golden_pipeline: USOPipeline
) -> None:
    other = replace(alike(1), **fields)  # type: ignore[arg-type]  # one field of many
    conditionings = [golden_pipeline.condition(request) for request in (alike(0), other)]
    with pytest.raises(ValueError, match="same batch key"):
        golden_pipeline.denoise_batch(conditionings, [0, 1])
