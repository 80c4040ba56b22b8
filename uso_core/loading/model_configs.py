"""Dimensions of a model, in the form that the constructors of its modules take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uso_core.errors import CheckpointError
from uso_core.loading.source import FoundModel, read_json

FLUX_DEV: dict[str, dict[str, Any]] = {
    "flux_params": {
        "in_channels": 64,
        "vec_in_dim": 768,
        "context_in_dim": 4096,
        "hidden_size": 3072,
        "mlp_ratio": 4.0,
        "num_heads": 24,
        "depth": 19,
        "depth_single_blocks": 38,
        "axes_dim": [16, 56, 56],
        "theta": 10000,
        "qkv_bias": True,
    },
    "ae_params": {
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "z_channels": 16,
        "scale_factor": 0.3611,
        "shift_factor": 0.1159,
    },
}
"""Settings for the original's files if they have no config.json. The weights then show if there is
a guidance embedder: FLUX.1-dev has one, schnell does not."""

_FIXED = {"mlp_ratio": 4.0, "theta": 10000, "qkv_bias": True}  # hard-coded in diffusers' FLUX


def transformer_config(model: FoundModel, *, guidance: bool) -> dict[str, Any]:
    """Return the arguments of `FluxTransformer2DModel`.

    Args:
        model: must be downloaded.
        guidance: True if the file has a guidance embedder; used if no config says so.

    Raises:
        CheckpointError: the config is unreadable, lacks a value, or belongs to another model.
    """
    if model.layout == "diffusers":
        return _diffusers_config(
            model.components["transformer"].config_path, "FluxTransformer2DModel"
        )
    path, flux = _settings(model, "flux_params")
    for key, value in _FIXED.items():
        if flux.get(key, value) != value:
            raise CheckpointError(str(path), f"{key} is {flux[key]!r}; only {value!r} is supported")
    try:
        return transformer_arguments({"guidance_embed": guidance, **flux})
    except KeyError as error:
        raise CheckpointError(str(path), f"flux_params lacks {error}") from error


def vae_config(model: FoundModel) -> dict[str, Any]:
    """Return the arguments of `AutoencoderKL`.

    Args:
        model: must be downloaded.

    Raises:
        CheckpointError: the config is unreadable, lacks a value, or belongs to another model.
    """
    if model.layout == "diffusers":
        return _diffusers_config(model.components["vae"].config_path, "AutoencoderKL")
    path, ae = _settings(model, "ae_params")
    try:
        return vae_arguments(ae)
    except KeyError as error:
        raise CheckpointError(str(path), f"ae_params lacks {error}") from error


def transformer_arguments(flux: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the `flux_params` of settings to arguments of `FluxTransformer2DModel`."""
    return {
        "in_channels": flux["in_channels"],
        "num_layers": flux["depth"],
        "num_single_layers": flux["depth_single_blocks"],
        "attention_head_dim": flux["hidden_size"] // flux["num_heads"],
        "num_attention_heads": flux["num_heads"],
        "joint_attention_dim": flux["context_in_dim"],
        "pooled_projection_dim": flux["vec_in_dim"],
        "guidance_embeds": flux["guidance_embed"],
        "axes_dims_rope": tuple(flux["axes_dim"]),
    }


def vae_arguments(ae: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the `ae_params` of settings to arguments of `AutoencoderKL`."""
    channels = [ae["ch"] * factor for factor in ae["ch_mult"]]
    return {
        "in_channels": ae["in_channels"],
        "out_channels": ae["out_ch"],
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * len(channels),
        "up_block_types": ["UpDecoderBlock2D"] * len(channels),
        "layers_per_block": ae["num_res_blocks"],
        "latent_channels": ae["z_channels"],
        "scaling_factor": ae["scale_factor"],
        "shift_factor": ae["shift_factor"],
        "norm_num_groups": ae.get("norm_groups", 32),
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }


def encoder_config(path: Path, model_types: tuple[str, ...], nested: str) -> dict[str, Any]:
    """Read the config of an encoder in transformers' format.

    Args:
        path: its config.json.
        model_types: accepted values of `model_type`.
        nested: key of this encoder's section in the config of a model with several towers.

    Raises:
        CheckpointError: the config is unreadable or belongs to another model.
    """
    config = read_json(path)
    if config.get("model_type") not in model_types:
        raise CheckpointError(
            str(path), f"model_type is {config.get('model_type')!r}; {model_types[0]} is needed"
        )
    inner = config.get(nested, config)
    return inner if isinstance(inner, dict) else config


def _diffusers_config(path: Path, class_name: str) -> dict[str, Any]:
    config = read_json(path)
    if config.get("_class_name") != class_name:
        raise CheckpointError(
            str(path), f"_class_name is {config.get('_class_name')!r}; {class_name} is needed"
        )
    return config


def _settings(model: FoundModel, section: str) -> tuple[Path, Mapping[str, Any]]:
    if "settings" not in model.components:
        return Path(), FLUX_DEV[section]
    path = model.components["settings"].config_path
    settings = read_json(path)
    if not isinstance(settings.get(section), dict):
        raise CheckpointError(str(path), f"lacks {section}, the dimensions of the model")
    return path, settings[section]
