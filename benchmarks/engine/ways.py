"""The ways to draw that are compared, made one after the other from the same random weights."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.engine.cases import WAYS, WayName
from benchmarks.engine.measure import Way
from benchmarks.engine.models import RandomModel, merge_lora, random_model
from benchmarks.engine.original import OriginalWay
from uso_core.components import Components, hoist_embedders
from uso_core.pipeline import USOPipeline


def ways_on(device: str) -> list[WayName]:
    """Those that a kind of device can draw in; compiling for a CPU takes longer than it saves."""
    return list(WAYS) if device == "cuda" else ["original", "exact"]


def make_way(name: WayName, *, full: bool, device: torch.device, dtype: torch.dtype) -> Way:
    """Make a way; the same weights for each, so that pictures can be compared."""
    model = random_model(full=full, device=device, dtype=dtype)
    if name == "original":
        return OriginalWay(model)
    merge_lora(model)
    pipeline = USOPipeline(assembled(model), cache_bytes=0)
    if name.endswith("compiled"):
        pipeline.compile()
    return pipeline


def assembled(model: RandomModel) -> Components:
    """All models of a pipeline; the LoRA is in there if it was merged before."""
    context_embedder, pos_embed = hoist_embedders(model.transformer)
    return replace(
        model.others,
        transformer=model.transformer,
        context_embedder=context_embedder,
        pos_embed=pos_embed,
    )
