"""The ways of drawing that are compared: presets, and float8 emulated where there is no GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import nn

from benchmarks.quality.pairs import Pair
from uso_core import StylizeRequest, USOPipeline
from uso_core.loading.source import ModelSource
from uso_core.presets import PRESETS, PresetName
from uso_core.runtime.float8 import is_float8_linear

_E4M3_MAX = 448.0


@dataclass(frozen=True)
class Way:
    """One way of drawing.

    Attributes:
        name: its name in the table.
        preset: the preset that it loads, on a CPU.
        dtype: dtype of the transformer.
        float8: None; or `storage` or `compute`, emulated with PyTorch's float8 types.
        batch: images that share a batch.
        steps: steps instead of those asked for.
    """

    name: str
    preset: PresetName = "exact"
    dtype: torch.dtype = torch.float32
    float8: str | None = None
    batch: int = 1
    steps: int | None = None

    def draw(self, source: ModelSource, pairs: Sequence[Pair], steps: int) -> list[Image.Image]:
        """Draw every pair."""
        pipeline = self._loaded(source)
        asked = [pair.request(self.steps or steps) for pair in pairs]
        requests = [replace(request, seed=seed) for seed, request in enumerate(asked)]
        drawn: list[Image.Image] = []
        for start in range(0, len(requests), self.batch):
            drawn += _batch(pipeline, requests[start : start + self.batch])
        return drawn

    def _loaded(self, source: ModelSource) -> USOPipeline:
        preset = PRESETS[self.preset]
        if self.float8 is not None:
            preset = replace(preset, linears="as_loaded", encoders="device")
        pipeline = USOPipeline.load(source, dtype=self.dtype, device="cpu", preset=preset)
        if self.float8 is not None:
            _emulate(pipeline.components.transformer, inputs=self.float8 == "compute")
        return pipeline


WAYS = (
    Way("exact"),
    Way("exact, bfloat16", dtype=torch.bfloat16),
    Way("exact, batches of 4", batch=4),
    Way("exact, 8 steps", steps=8),
    Way("exact, 4 steps", steps=4),
    Way("fp8 (emulated)", "fp8", float8="compute"),
    Way("fp8+cache (emulated)", "fp8+cache", float8="compute"),
    Way("draft", "draft"),
    Way("low_vram (emulated)", "low_vram", float8="storage"),
)
"""`tiny_vram` is absent: it only moves weights."""


def _batch(pipeline: USOPipeline, requests: Sequence[StylizeRequest]) -> list[Image.Image]:
    """Draw requests together; those of one batch key share their batch."""
    conditionings = [pipeline.condition(request) for request in requests]
    latents = pipeline.denoise_batch(conditionings, [request.seed for request in requests])
    return [pipeline.decode(each) for each in latents]


def _emulate(transformer: nn.Module, *, inputs: bool) -> None:
    """Round weights, and inputs if asked, to float8 as the GPU does; sums stay in float32."""
    for name, module in transformer.named_modules():
        if not is_float8_linear(module, name):
            continue
        scaled = _rounded(module.weight) if inputs else module.weight.to(torch.float8_e4m3fn)
        module.weight = nn.Parameter(scaled.to(module.weight.dtype), requires_grad=False)
        if inputs:
            module.register_forward_pre_hook(_ROUND)


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    """Round to float8 with a scale for each row, and back."""
    scale = tensor.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / _E4M3_MAX
    return (tensor / scale).to(torch.float8_e4m3fn).to(tensor.dtype) * scale


_ROUND: Callable[..., tuple[torch.Tensor]] = lambda _module, given: (_rounded(given[0]),)  # noqa: E731
