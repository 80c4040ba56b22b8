"""The dimensions of a model, as the constructors of its modules take them."""

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
"""The settings of the original's files where there is no config.json beside them; whether there is
a guidance embedder is then seen from the file (FLUX.1-dev has one, schnell has not)."""

TINY_FLUX: dict[str, Any] = {
    "in_channels": 64,
    "vec_in_dim": 32,
    "context_in_dim": 24,
    "hidden_size": 64,
    "mlp_ratio": 4.0,
    "num_heads": 4,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
}
"""Of `uso_core.loading.tiny`."""
TINY_STYLE_TOKENS = 8  # of each level

_FIXED = {"mlp_ratio": 4.0, "theta": 10000, "qkv_bias": True}  # what diffusers' FLUX has built in


def transformer_config(model: FoundModel, *, guidance: bool) -> dict[str, Any]:
    """Arguments of `FluxTransformer2DModel`.

    Args:
        model: downloaded.
        guidance: whether the file has a guidance embedder; used where no config says it.

    Raises:
        CheckpointError: the config is unreadable, lacks a value, or is another model's.
    """
    if model.layout == "diffusers":
        return _diffusers_config(model.parts["transformer"].config_path, "FluxTransformer2DModel")
    path, flux = _settings(model, "flux_params")
    for key, value in _FIXED.items():
        if flux.get(key, value) != value:
            raise CheckpointError(str(path), f"{key} is {flux[key]!r}; only {value!r} is supported")
    try:
        return transformer_arguments({"guidance_embed": guidance, **flux})
    except KeyError as error:
        raise CheckpointError(str(path), f"flux_params lacks {error}") from error


def vae_config(model: FoundModel) -> dict[str, Any]:
    """Arguments of `AutoencoderKL`.

    Args:
        model: downloaded.

    Raises:
        CheckpointError: the config is unreadable, lacks a value, or is another model's.
    """
    if model.layout == "diffusers":
        return _diffusers_config(model.parts["vae"].config_path, "AutoencoderKL")
    path, ae = _settings(model, "ae_params")
    try:
        return vae_arguments(ae)
    except KeyError as error:
        raise CheckpointError(str(path), f"ae_params lacks {error}") from error


def transformer_arguments(flux: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `FluxTransformer2DModel` for the `flux_params` of settings."""
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
    """Arguments of `AutoencoderKL` for the `ae_params` of settings."""
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
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    }


def encoder_config(path: Path, model_types: tuple[str, ...], nested: str) -> dict[str, Any]:
    """The config of an encoder in transformers' format.

    Args:
        path: its config.json.
        model_types: what `model_type` may be.
        nested: key under which a config of several towers has this one's.

    Raises:
        CheckpointError: it is unreadable or another model's.
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
    if "settings" not in model.parts:
        return Path(), FLUX_DEV[section]
    path = model.parts["settings"].config_path
    settings = read_json(path)
    if not isinstance(settings.get(section), dict):
        raise CheckpointError(str(path), f"lacks {section}, the dimensions of the model")
    return path, settings[section]
