"""A second model: paints every image in one colour, which follows from the seed.

It stands for whatever family comes after USO on FLUX, so that the code around a model is tested
with a model that shares nothing with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import torch
from PIL import Image

from uso_core import families
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
from uso_core.loading.dimensions import EncodingCosts
from uso_core.loading.source import ModelCard, ModelSource
from uso_core.model.cache import Lookups
from uso_core.model.denoise import OnStep
from uso_core.model.images import Pixels
from uso_core.model.sizes import Size
from uso_core.presets import Attention, Preset
from uso_core.protocol import About, Pipeline
from uso_core.request import Limits, StylizedImage, StylizeRequest

BASE = "painted"
MARK = "painted.json"
COSTS = EncodingCosts(prompt=1.0, content=2.0, style=3.0)
LIMITS = Limits(min_size=8, max_size=64, size_step=8, default_size=32)


def colour(seed: int) -> tuple[int, int, int]:
    """The colour of an image."""
    return (seed % 256, 7 * seed % 256, 0)


@dataclass(frozen=True)
class Canvas:
    """The shape of a painted batch."""

    size: Size
    styles: int


@dataclass(frozen=True)
class Order:
    """A prepared request, and its conditioning: painting needs nothing else."""

    batch_key: Canvas
    prompt_truncated: bool = False


@dataclass(frozen=True)
class Paint:
    """The latents."""

    size: Size
    seed: int


class PaintedPipeline:
    """See `uso_core.protocol.Pipeline`."""

    limits = LIMITS
    device = torch.device("cpu")
    can_batch = True
    can_decode_beside = False

    def prepare(self, request: StylizeRequest) -> Order:
        request.check(LIMITS)
        size = Size(request.width or LIMITS.default_size, request.height or LIMITS.default_size)
        return Order(Canvas(size, len(request.style_images)))

    def condition(self, request: Order) -> Order:
        return request

    def denoise_batch(
        self, conditionings: Sequence[Order], seeds: Sequence[int], on_step: OnStep | None = None
    ) -> list[Paint]:
        if on_step is not None:
            on_step(1, 1)
        return [
            Paint(order.batch_key.size, seed)
            for order, seed in zip(conditionings, seeds, strict=True)
        ]

    def decode_pixels(self, latents: Paint) -> Pixels:
        levels = torch.tensor(colour(latents.seed), dtype=torch.uint8)
        shape = (latents.size.height, latents.size.width, 3)
        return Pixels(levels.expand(shape).contiguous(), torch.tensor(False))

    def compile(self) -> None:
        return

    def __call__(
        self, requests: Sequence[StylizeRequest], *, on_step: OnStep | None = None
    ) -> list[StylizedImage]:
        return [
            StylizedImage(
                image=Image.new("RGB", self.prepare(request).batch_key.size, colour(seed)),
                seed=seed,
                prompt_truncated=False,
            )
            for request in requests
            for seed in request.seeds
        ]

    @property
    def cache_lookups(self) -> dict[str, Lookups]:
        return {}


@dataclass(frozen=True)
class _Dimensions:
    family: str = "painted"
    hidden: int = 1
    blocks: int = 1
    encoding: EncodingCosts = COSTS

    def sequence_length(self, width: int, height: int, content: int, styles: int) -> int:
        return width * height

    def linear_flops(self, tokens: int) -> float:
        return float(tokens)

    def attention_flops(self, tokens: int) -> float:
        return 0.0

    def step_flops(self, tokens: int) -> float:
        return float(tokens)


class _Painted:
    """See `uso_core.protocol.ModelFamily`."""

    name = "painted"
    about = About(title="Paint", url="https://paint.example", licence="paint is free")
    usual_limits = LIMITS
    usual_dimensions = _Dimensions()

    def owns_name(self, name: str) -> bool:
        return name == BASE

    def recognizes(self, base: FileListing) -> bool:
        return MARK in base.names

    def files(self, weights: str, listing: FileListing) -> Mapping[ComponentName, ComponentFiles]:
        return {"settings": ComponentFiles(listing, config=MARK)} if weights == "base" else {}

    def describe(self, source: ModelSource) -> ModelCard:
        return ModelCard(BASE, "painted", LIMITS, "c0104")

    def pin(self, source: ModelSource) -> ModelSource:
        return source

    def dimensions(self, source: ModelSource) -> _Dimensions:
        return _Dimensions()

    def memory_needed(self, source: ModelSource, dtype: torch.dtype, preset: Preset) -> int:
        return 0

    def load(
        self,
        source: ModelSource,
        *,
        dtype: torch.dtype,
        device: torch.device,
        preset: Preset,
        attention: Attention,
    ) -> Pipeline[Order, Order, Paint]:
        return PaintedPipeline()


PAINTED = _Painted()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter the second family into the registry, until the test ends."""
    monkeypatch.setattr(families, "FAMILIES", (PAINTED, *families.FAMILIES))
