"""The ways to generate that are compared, each created from the same random weights."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from benchmarks.engine.cases import WAYS, WayName
from benchmarks.engine.measure import Way
from benchmarks.engine.models import RandomModel, merge_lora, random_model
from benchmarks.engine.original import OriginalWay
from uso_core.errors import UnsupportedPresetError
from uso_core.loading.apply_preset import apply_preset, loading_device
from uso_core.model.components import Components
from uso_core.model.hoisting import hoist_embedders
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS, Preset
from uso_core.runtime.attention import use_attention
from uso_core.runtime.devices import check_preset

_COMPILED = ", compiled"


def ways_on(device: torch.device, dtype: torch.dtype) -> list[WayName]:
    """Return the ways that a device supports; on a CPU, compiling takes longer than it saves."""
    if device.type != "cuda":
        return ["original", "exact", "draft"]
    return [name for name in WAYS if name == "original" or _runs(preset_of(name), device, dtype)]


def preset_of(name: WayName) -> Preset:
    """Return the preset of any way but the original's."""
    return next(p for p in PRESETS.values() if p.name == name.removesuffix(_COMPILED))


def make_way(name: WayName, *, full: bool, device: torch.device, dtype: torch.dtype) -> Way:
    """Create a way; all use the same weights and the same attention kernel.

    Raises:
        UnsupportedPresetError: the device cannot run it.
    """
    if name != "original":
        check_preset(preset_of(name), device, dtype)
    model = random_model(full=full, device=device, dtype=dtype)
    use_attention(model.transformer, "auto", device)
    if name == "original":
        return OriginalWay(model)
    preset = preset_of(name)
    merge_lora(model)
    components = assembled(model)
    _move_to_start(components, preset, device)
    apply_preset(components, preset, device)
    pipeline = USOPipeline(components, preset=preset, cache_bytes=0)
    if name.endswith(_COMPILED):
        pipeline.compile()
    return pipeline


def assembled(model: RandomModel) -> Components:
    """Return all models of a pipeline; the LoRA takes effect if it has been merged."""
    context_embedder, pos_embed, time_text_embed = hoist_embedders(model.transformer)
    return replace(
        model.others,
        transformer=model.transformer,
        context_embedder=context_embedder,
        pos_embed=pos_embed,
        time_text_embed=time_text_embed,
    )


def _runs(preset: Preset, device: torch.device, dtype: torch.dtype) -> bool:
    try:
        check_preset(preset, device, dtype)
    except UnsupportedPresetError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return False
    return True


def _move_to_start(components: Components, preset: Preset, device: torch.device) -> None:
    """Move the models to where loading would have put them."""
    encoder_device = loading_device(preset, device, of_encoders=True)
    components.transformer.to(loading_device(preset, device, of_encoders=False))
    components.text_encoder.to(encoder_device)
    components.text_encoder_2.to(encoder_device)
    components.image_encoder.to(encoder_device)
    components.vae.to(encoder_device)
