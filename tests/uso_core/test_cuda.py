"""Checks that need a real GPU, with tiny weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.test_pipeline import generate, make_request
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS, PresetName
from uso_core.runtime.transfer import to_device, to_host

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cuda_pipeline() -> USOPipeline:
    pipeline = USOPipeline.from_original(str(CHECKPOINT), dtype=torch.bfloat16, device="cuda")
    return USOPipeline(replace(pipeline.components, limits=LIMITS))


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Raise where torch waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_no_stage_waits_for_the_device(cuda_pipeline: USOPipeline) -> None:
    cuda_pipeline([make_request(2)])  # libraries initialise at their first call
    prepared = cuda_pipeline.prepare(replace(make_request(3), num_steps=4))
    with nothing_waits():
        conditioning = cuda_pipeline.condition(prepared)
        latents = cuda_pipeline.denoise(conditioning, 0)
        pixels = cuda_pipeline.decode_pixels(latents).to_host()
    torch.cuda.synchronize()
    assert pixels.levels.is_pinned()
    assert pixels.image().tobytes() == cuda_pipeline.decode(latents).tobytes()


def test_copies_arrive_as_they_were_sent() -> None:
    sent = torch.arange(2**20)
    there = to_device(sent, torch.device("cuda"))
    sent.zero_()  # the copy does not change with it
    back = to_host(there)
    torch.cuda.synchronize()
    assert torch.equal(back, torch.arange(2**20))


def test_other_requests_change_nothing(cuda_pipeline: USOPipeline) -> None:
    requests = [make_request(i) for i in range(4)]
    alone = [generate(cuda_pipeline, [request])[0] for request in requests]
    assert generate(cuda_pipeline, requests[::-1]) == alone[::-1]


def test_compiled_blocks_generate_the_same_in_any_order() -> None:
    pipeline = USOPipeline.from_original(str(CHECKPOINT), dtype=torch.bfloat16, device="cuda")
    pipeline = USOPipeline(replace(pipeline.components, limits=LIMITS))
    pipeline.compile()
    requests = [make_request(i) for i in range(4)]
    assert generate(pipeline, requests) == generate(pipeline, requests[::-1])[::-1]


def load(name: PresetName, *, is_compiled: bool = False) -> USOPipeline:
    source = ModelSource(str(CHECKPOINT))
    pipeline = USOPipeline.load(source, dtype=torch.bfloat16, device="cuda", preset=PRESETS[name])
    pipeline = USOPipeline(replace(pipeline.components, limits=LIMITS), preset=pipeline.preset)
    if is_compiled:
        pipeline.compile()
    return pipeline


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_generates_the_same_in_any_order(name: PresetName) -> None:
    pipeline = load(name)
    requests = [make_request(i) for i in range(4)]
    assert generate(pipeline, requests) == generate(pipeline, requests[::-1])[::-1]


@pytest.mark.parametrize("name", ["fp8", "fp8+cache", "draft"])
def test_fast_presets_compile(name: PresetName) -> None:
    pipeline = load(name, is_compiled=True)
    requests = [make_request(i) for i in range(4)]
    assert generate(pipeline, requests) == generate(pipeline, requests[::-1])[::-1]


def test_streamed_weights_change_no_bit() -> None:
    requests = [make_request(i) for i in range(4)]
    assert generate(load("tiny_vram"), requests) == generate(load("exact"), requests)


def test_float8_is_near_exact() -> None:
    requests = [make_request(i) for i in range(4)]
    exact, fp8 = (load(name)(requests) for name in ("exact", "fp8"))
    for ours, theirs in zip(fp8, exact, strict=True):
        off = np.abs(np.asarray(ours.image).astype(int) - np.asarray(theirs.image))
        assert 0 < off.mean() < 16
