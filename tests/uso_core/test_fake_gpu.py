"""Generation on a fake GPU: nothing strays to the CPU, and no step waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.uso_core.fake_gpu import GPU, FakeGpu, OnGpu, fake_gpu
from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.test_pipeline import generate, make_request
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS, PresetName

REQUEST = replace(make_request(1), num_steps=3)
ON_ANY_DEVICE = [preset.name for preset in PRESETS.values() if preset.linears != "float8"]


@pytest.fixture
def gpu() -> Iterator[FakeGpu]:
    with fake_gpu() as gpu:
        yield gpu


def load(name: PresetName, device: torch.device, dtype: torch.dtype) -> USOPipeline:
    pipeline = USOPipeline.load(
        ModelSource(str(CHECKPOINT)),
        dtype=dtype,
        device=device,
        preset=PRESETS[name],
        attention="sdpa",
    )
    components = replace(pipeline.components, limits=LIMITS)
    return USOPipeline(components, preset=pipeline.preset, cache_bytes=0)


def waits_after_steps(pipeline: USOPipeline, gpu: FakeGpu) -> list[int]:
    after_steps: list[int] = []
    pipeline([REQUEST], on_step=lambda done, total: after_steps.append(gpu.waits.total()))
    return after_steps


@pytest.mark.parametrize("name", ON_ANY_DEVICE)
def test_every_preset_generates_the_same_as_on_the_cpu(name: PresetName) -> None:
    with sdpa_kernel(SDPBackend.MATH):
        want = generate(load(name, torch.device("cpu"), torch.float32), [REQUEST])
    with fake_gpu():
        assert generate(load(name, GPU, torch.float32), [REQUEST]) == want


def test_no_step_waits(gpu: FakeGpu) -> None:
    first, *others = waits_after_steps(load("exact", GPU, torch.bfloat16), gpu)
    assert others == [first, first]


def test_a_step_cache_waits_once_a_step(gpu: FakeGpu) -> None:
    first, *others = waits_after_steps(load("draft", GPU, torch.bfloat16), gpu)
    assert others == [first + 1, first + 2]


def test_streamed_layers_leave_no_trace_of_earlier_images(gpu: FakeGpu) -> None:
    pipeline = load("low_vram", GPU, torch.bfloat16)
    counts = []
    for _ in range(2):
        gpu.waits.clear()
        pipeline([REQUEST])
        counts.append(gpu.waits.total())
    assert counts[1] < counts[0]  # layers are prefetched from the second call on
    assert hooks_that_note_calls(pipeline) == 0


def hooks_that_note_calls(pipeline: USOPipeline) -> int:
    """Count diffusers' hooks that record each call of a layer until a module has been called."""
    parts = pipeline.components
    return sum(
        "layer_execution_tracker" in module._diffusers_hook.hooks
        for model in (parts.text_encoder, parts.text_encoder_2, parts.image_encoder, parts.vae)
        for module in model.modules()
        if hasattr(module, "_diffusers_hook")
    )


def test_the_fake_refuses_a_tensor_that_was_left_on_the_cpu(gpu: FakeGpu) -> None:
    there = torch.ones(2, device=GPU)
    assert isinstance(there + torch.tensor(1.0), OnGpu)  # a scalar may be on the CPU
    with pytest.raises(RuntimeError, match="expected all tensors on one device"):
        there + torch.ones(2)


@pytest.mark.parametrize("read", [torch.Tensor.item, torch.Tensor.__bool__, torch.Tensor.cpu])
def test_the_fake_counts_what_waits(read: Callable[[torch.Tensor], object], gpu: FakeGpu) -> None:
    there = torch.full((1,), 2.0, device=GPU)
    assert gpu.waits.total() == 0
    read(there)
    assert gpu.waits.total() > 0
