"""Runs one golden case through a pipeline and records the inputs and outputs of every model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import nn

from tests.uso_core.goldens import Case
from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents
from uso_core.model.geometry import position_ids
from uso_core.model.hoisting import rotary_rows
from uso_core.model.inputs import PreparedRequest
from uso_core.model.sizes import Size
from uso_core.pipeline import USOPipeline


@dataclass
class Calls:
    """The calls of each model, in order: keyword arguments and results."""

    kwargs: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    args: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))
    results: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Trace:
    """A case as run by this project."""

    pipeline: USOPipeline
    prepared: PreparedRequest
    conditioning: Conditioning
    latents: Latents
    image: Image.Image
    calls: Calls


def trace_case(pipeline: USOPipeline, case: Case) -> Trace:
    prepared = pipeline.prepare(case.request())
    with record_calls(pipeline) as calls:
        conditioning = pipeline.condition(prepared)
        if case.facts["pe"] == "o":
            conditioning = _without_offsets(pipeline, prepared, conditioning)
        latents = pipeline.denoise(conditioning, case.facts["seed"])
        image = pipeline.decode(latents)
    return Trace(pipeline, prepared, conditioning, latents, image, calls)


@contextmanager
def record_calls(pipeline: USOPipeline) -> Iterator[Calls]:
    parts = pipeline.components
    modules: dict[str, nn.Module] = {
        "t5": parts.text_encoder_2,
        "clip": parts.text_encoder,
        "siglip": parts.image_encoder,
        "projector": parts.style_projector,
        "vae_encoder": parts.vae.encoder,
        "time_text_embed": parts.time_text_embed,
        "transformer": parts.transformer,
        "vae_decoder": parts.vae.decoder,
    }
    calls = Calls()
    handles = [
        module.register_forward_hook(_recorder(calls, name), with_kwargs=True)
        for name, module in modules.items()
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _recorder(calls: Calls, name: str) -> Callable[..., None]:
    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        calls.args[name].append(args)
        calls.kwargs[name].append(kwargs)
        calls.results[name].append(result)

    return record


def _without_offsets(
    pipeline: USOPipeline, prepared: PreparedRequest, conditioning: Conditioning
) -> Conditioning:
    assert prepared.content is not None
    sizes = [prepared.size, Size(*prepared.content.size)]
    ids = torch.cat(position_ids(sizes, shift_y=False, shift_x=False))
    return replace(conditioning, image_rotary=rotary_rows(pipeline.components.pos_embed, ids))
