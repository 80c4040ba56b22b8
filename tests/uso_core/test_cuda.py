"""What can be seen on a GPU alone, with tiny weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.test_pipeline import draw, make_request
from uso_core.checkpoint import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS, PresetName

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda_pipeline() -> USOPipeline:
    pipeline = USOPipeline.from_original(str(CHECKPOINT), dtype=torch.bfloat16, device="cuda")
    return USOPipeline(replace(pipeline.components, limits=LIMITS))


def test_no_step_waits_for_the_device(cuda_pipeline: USOPipeline) -> None:
    def forbid_waiting(done: int, total: int) -> None:
        torch.cuda.set_sync_debug_mode("default" if done == total else "error")

    request = replace(make_request(3), num_steps=4)
    conditioning = cuda_pipeline.condition(request)
    try:
        latents = cuda_pipeline.denoise(conditioning, 0, forbid_waiting)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert latents.tokens.isfinite().all()


def test_other_requests_change_nothing(cuda_pipeline: USOPipeline) -> None:
    requests = [make_request(i) for i in range(4)]
    alone = [draw(cuda_pipeline, [request])[0] for request in requests]
    assert draw(cuda_pipeline, requests[::-1]) == alone[::-1]


def test_compiled_blocks_draw_the_same_in_any_order() -> None:
    pipeline = USOPipeline.from_original(str(CHECKPOINT), dtype=torch.bfloat16, device="cuda")
    pipeline = USOPipeline(replace(pipeline.components, limits=LIMITS))
    pipeline.compile()
    requests = [make_request(i) for i in range(4)]
    assert draw(pipeline, requests) == draw(pipeline, requests[::-1])[::-1]


def load(name: PresetName, *, is_compiled: bool = False) -> USOPipeline:
    source = ModelSource(str(CHECKPOINT))
    pipeline = USOPipeline.load(source, dtype=torch.bfloat16, device="cuda", preset=PRESETS[name])
    pipeline = USOPipeline(replace(pipeline.components, limits=LIMITS), preset=pipeline.preset)
    if is_compiled:
        pipeline.compile()
    return pipeline


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_draws_the_same_in_any_order(name: PresetName) -> None:
    pipeline = load(name)
    requests = [make_request(i) for i in range(4)]
    assert draw(pipeline, requests) == draw(pipeline, requests[::-1])[::-1]


@pytest.mark.parametrize("name", ["fp8", "fp8+cache", "draft"])
def test_fast_presets_compile(name: PresetName) -> None:
    pipeline = load(name, is_compiled=True)
    requests = [make_request(i) for i in range(4)]
    assert draw(pipeline, requests) == draw(pipeline, requests[::-1])[::-1]


def test_streamed_weights_change_no_bit() -> None:
    requests = [make_request(i) for i in range(4)]
    assert draw(load("tiny_vram"), requests) == draw(load("exact"), requests)


def test_float8_is_near_exact() -> None:
    requests = [make_request(i) for i in range(4)]
    exact, fp8 = (load(name)(requests) for name in ("exact", "fp8"))
    for ours, theirs in zip(fp8, exact, strict=True):
        off = np.abs(np.asarray(ours.image).astype(int) - np.asarray(theirs.image))
        assert 0 < off.mean() < 16
