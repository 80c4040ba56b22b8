"""Applies a preset to loaded models."""

from __future__ import annotations

import torch

from uso_core.model.components import Components
from uso_core.presets import Preset
from uso_core.runtime.float8 import compute_in_float8, store_in_float8
from uso_core.runtime.step_cache import enable_step_cache
from uso_core.runtime.streaming import stream_blocks, stream_layers


def apply_preset(components: Components, preset: Preset, device: torch.device) -> None:
    """Change the models as `preset` requires, and move them to their devices.

    Args:
        components: freshly loaded models, on `device` or on the CPU.
        preset: applied once; `device` must be able to run it (see `uso_core.runtime.devices`).
        device: device that generates.
    """
    transformer = components.transformer
    if preset.linears == "float8":
        compute_in_float8(transformer)
    elif preset.linears == "float8_storage":
        store_in_float8(transformer)
    if preset.transformer == "host":
        stream_blocks(transformer, device)
    else:
        transformer.to(device)
    if preset.encoders == "host":
        _stream_encoders(components, device)
    else:
        components.text_encoder.to(device)
        components.text_encoder_2.to(device)
        components.image_encoder.to(device)
        components.vae.to(device)
    for small in (
        components.context_embedder,
        components.time_text_embed,
        components.style_projector,
    ):
        small.to(device)
    if preset.cache_threshold is not None:
        enable_step_cache(transformer, preset.cache_threshold)


def _stream_encoders(components: Components, device: torch.device) -> None:
    """Stream each module that is called as a whole, so that the order of its layers is known."""
    stream_layers(components.text_encoder, device)
    stream_layers(components.text_encoder_2.encoder, device)
    stream_layers(components.image_encoder, device)
    stream_layers(components.vae.encoder, device)
    stream_layers(components.vae.decoder, device)


def loading_device(preset: Preset, device: torch.device, *, of_encoders: bool) -> torch.device:
    """Return the device to load to, so that the GPU never holds more than generation needs."""
    if of_encoders:
        on_host = preset.encoders == "host"
    else:
        on_host = preset.transformer == "host" or preset.linears == "float8_storage"
    return torch.device("cpu") if on_host else device
