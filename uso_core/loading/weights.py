"""Loads the modules of a pipeline from their files."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, FluxTransformer2DModel
from transformers import SiglipVisionModel

from uso_core.loading.apply_preset import apply_preset, loading_device
from uso_core.loading.component_files import ComponentFiles
from uso_core.loading.encoder_weights import (
    load_clip,
    load_clip_tokenizer,
    load_image_processor,
    load_siglip,
    load_t5,
    load_t5_tokenizer,
)
from uso_core.loading.key_mapping import Rule, transformer_rules, vae_rules
from uso_core.loading.lora import read_lora
from uso_core.loading.lora_updates import merge_updates
from uso_core.loading.model_configs import transformer_config, vae_config
from uso_core.loading.source import FoundModel, ModelSource, find_model, limits_of, tiny_seed
from uso_core.loading.strict_load import (
    Destination,
    check_keys,
    file_shapes,
    identity_rules,
    load_strictly,
    shapes_of,
)
from uso_core.loading.tensor_files import open_tensor_files
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.loading.user_lora import read_user_lora
from uso_core.model.components import Components
from uso_core.model.hoisting import hoist_embedders
from uso_core.model.style_projector import StyleProjector
from uso_core.presets import EXACT, Preset
from uso_core.runtime.devices import check_device, check_preset

# While a module is built without weights, accelerate changes torch's Module for all threads: a
# model that another thread loads meanwhile would have no weights either.
_LOADING = threading.RLock()
_SIZING_KEY = "feature_embedder.high_embedding_linear.0.weight"


def load_components(
    source: ModelSource, *, dtype: torch.dtype, device: torch.device, preset: Preset = EXACT
) -> Components:
    """Load a model: find its files, check the device, then download files of the Hub.

    A missing file is told before a missing GPU, and both before gigabytes are read. Weights are
    read, merged and converted one tensor at a time, straight to their final place: the peak is the
    loaded model plus one tensor in float32. Callable from any thread; one model is loaded at a
    time.

    Args:
        source: the model to load.
        dtype: dtype of the transformer and the text encoders. The VAE, SigLIP and the style
            projector stay in float32: they are small, and run once per image.
        device: device that generates.
        preset: applied to the modules.

    Raises:
        CheckpointError: a file is missing, cannot be read, or does not match the model.
        NoSuchDeviceError: PyTorch does not find the GPU.
        UnsupportedPresetError: the device cannot run the preset.
    """
    with _LOADING, _found(source) as model:
        check_device(device)
        check_preset(preset, device, dtype)
        components = _load(model.downloaded(), dtype, device, preset)
        apply_preset(components, preset, device)
    return components


@contextmanager
def _found(source: ModelSource) -> Iterator[FoundModel]:
    """Yield the files of a model, which may still be on the Hub; a tiny one is written for it.

    Raises:
        CheckpointError: there is no such folder or repository, or a file is missing or unreadable.
    """
    for lora in source.loras:
        open_tensor_files([Path(lora.path)])
    seed = tiny_seed(source.base)
    if seed is None:
        yield find_model(source)
        return
    with tempfile.TemporaryDirectory(prefix="uso-tiny-") as folder:
        write_tiny_checkpoint(Path(folder), seed=seed)
        yield find_model(ModelSource(folder, loras=source.loras))


def _load(
    model: FoundModel, dtype: torch.dtype, device: torch.device, preset: Preset
) -> Components:
    files = model.components
    encoder_device = loading_device(preset, device, of_encoders=True)
    destination = Destination(dtype, encoder_device)
    exact = Destination(torch.float32, encoder_device)
    transformer = _load_transformer(
        model, Destination(dtype, loading_device(preset, device, of_encoders=False))
    )
    image_encoder = load_siglip(files["image_encoder"], exact)
    projector = _load_projector(files["projector"], image_encoder, transformer, exact)
    context_embedder, pos_embed, time_text_embed = hoist_embedders(transformer)
    tokenizer = load_clip_tokenizer(files["tokenizer"])
    return Components(
        transformer=transformer,
        context_embedder=context_embedder,
        pos_embed=pos_embed,
        time_text_embed=time_text_embed,
        vae=_load_vae(model, exact),
        style_projector=projector,
        text_encoder=load_clip(files["text_encoder"], tokenizer, destination),
        text_encoder_2=load_t5(files["text_encoder_2"], destination),
        tokenizer=tokenizer,
        tokenizer_2=load_t5_tokenizer(files["tokenizer_2"]),
        image_encoder=image_encoder,
        image_processor=load_image_processor(files["image_processor"]),
        limits=limits_of(model),
    )


def empty_transformer(model: FoundModel) -> FluxTransformer2DModel:
    """Return the transformer without its weights, on the meta device.

    Args:
        model: must be downloaded.

    Raises:
        CheckpointError: its file or its settings cannot be read.
    """
    files = open_tensor_files(model.components["transformer"].weight_paths)
    guidance = any(key.startswith("guidance_in.") for key in files.shapes)
    with _LOADING, init_empty_weights(include_buffers=False):
        return FluxTransformer2DModel.from_config(transformer_config(model, guidance=guidance))


def _load_transformer(model: FoundModel, destination: Destination) -> FluxTransformer2DModel:
    """Load the transformer, with USO's LoRA and the user's LoRAs merged."""
    files = open_tensor_files(model.components["transformer"].weight_paths)
    transformer = empty_transformer(model)
    rules, shapes = _transformer_rules(model, transformer), shapes_of(transformer)
    check_keys(
        files, file_shapes(rules, shapes)
    )  # before the LoRAs, which only make sense for a valid base
    uso = read_lora(open_tensor_files(model.components["lora"].weight_paths), shapes)
    users = [
        read_user_lora(open_tensor_files([Path(lora.path)]), shapes, lora.weight)
        for lora in model.loras
    ]

    def merged(name: str, weight: torch.Tensor) -> torch.Tensor:
        updates = [lora[name] for lora in users if name in lora]
        return merge_updates(updates, uso.merged(name, weight), weight)

    load_strictly(transformer, files, rules, destination, merge=merged)
    return transformer


def _transformer_rules(model: FoundModel, transformer: FluxTransformer2DModel) -> list[Rule]:
    if model.layout == "diffusers":
        return identity_rules(transformer.state_dict())
    config = transformer.config
    return transformer_rules(
        config.num_layers, config.num_single_layers, guidance=config.guidance_embeds
    )


def _load_vae(model: FoundModel, destination: Destination) -> AutoencoderKL:
    with init_empty_weights(include_buffers=False):
        vae = AutoencoderKL.from_config(vae_config(model))
    files = open_tensor_files(model.components["vae"].weight_paths)
    names = vae.state_dict()
    rules = identity_rules(names) if model.layout == "diffusers" else vae_rules(names)
    load_strictly(vae, files, rules, destination)
    return vae


def _load_projector(
    component: ComponentFiles,
    image_encoder: SiglipVisionModel,
    transformer: FluxTransformer2DModel,
    destination: Destination,
) -> StyleProjector:
    """Load the projector; only its number of style tokens comes from its own file."""
    files = open_tensor_files(component.weight_paths)
    siglip, flux = image_encoder.config, transformer.config
    with init_empty_weights(include_buffers=False):
        projector: StyleProjector = StyleProjector(
            style_token_nums=files.shapes.get(_SIZING_KEY, (64,))[0],
            siglip_token_nums=(siglip.image_size // siglip.patch_size) ** 2,
            siglip_token_dims=siglip.hidden_size,
            hidden_size=flux.num_attention_heads * flux.attention_head_dim,
        )
    load_strictly(projector, files, identity_rules(projector.state_dict()), destination)
    return projector
