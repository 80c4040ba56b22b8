"""Writer of the tiny checkpoint: a small USO with random weights, in the original's file formats.

Its images are noise, but the whole path from files to pixels is the real one: the names and layouts
of the files, the tokenizers (a SentencePiece model of 260 pieces and a byte-level BPE of 190
merges, in `data/`), every module and every step. Tests, demos and CI run on it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, FluxTransformer2DModel
from safetensors.numpy import save
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
)

from uso_core.errors import CheckpointError
from uso_core.loading.key_mapping import transformer_rules, vae_rules
from uso_core.loading.lora import lora_shapes
from uso_core.loading.model_configs import transformer_arguments, vae_arguments
from uso_core.loading.source import read_json
from uso_core.loading.strict_load import file_shapes, shapes_of
from uso_core.loading.tensor_files import Shape
from uso_core.loading.tiny_configs import (
    TINY_CLIP,
    TINY_FLUX,
    TINY_LIMITS,
    TINY_LORA_RANK,
    TINY_SIGLIP,
    TINY_SIGLIP_PROCESSOR,
    TINY_STYLE_TOKENS,
    TINY_T5,
    TINY_VAE,
    TINY_VERSION,
)
from uso_core.model.style_projector import StyleProjector
from uso_core.request import LATER_LIMITS

_VERSION_KEY = "tiny_version"


def write_tiny_checkpoint(folder: Path, *, seed: int = 0) -> None:
    """Write a tiny checkpoint of about 5 MB; the same seed gives the same bytes.

    Args:
        folder: created if missing; an earlier tiny checkpoint in it is replaced.
        seed: seed of the weights, from 0.

    Raises:
        CheckpointError: the folder holds other files.
    """
    _refuse_other_files(folder)
    # Written first, so that a half-written folder is recognised as a tiny checkpoint.
    _write_json(folder / "config.json", _settings(seed))
    _write_json(folder / "t5" / "config.json", TINY_T5)
    _write_json(folder / "clip" / "config.json", TINY_CLIP)
    _write_json(folder / "siglip" / "config.json", TINY_SIGLIP)
    _write_json(folder / "siglip" / "preprocessor_config.json", TINY_SIGLIP_PROCESSOR)
    for name in ("t5/spiece.model", "clip/vocab.json", "clip/merges.txt"):
        _copy_data(name, folder)
    for tokenizer in ("t5", "clip"):
        _copy_data(f"{tokenizer}/tokenizer_config.json", folder)
    for name, shapes in _file_shapes().items():
        # Not with `save_file`, whose files are readable by their owner alone.
        (folder / name).write_bytes(save(_random_tensors(shapes, f"{seed}/{name}")))


def _settings(seed: int) -> dict[str, Any]:
    return {
        _VERSION_KEY: TINY_VERSION,
        "seed": seed,
        "flux_params": TINY_FLUX,
        "ae_params": TINY_VAE,
        "limits": {
            name: value for name, value in asdict(TINY_LIMITS).items() if name not in LATER_LIMITS
        },
    }


def _file_shapes() -> dict[str, dict[str, Shape]]:
    """Return the keys and shapes of every weight file."""
    with init_empty_weights(include_buffers=False):
        transformer = shapes_of(FluxTransformer2DModel(**transformer_arguments(TINY_FLUX)))
        vae = shapes_of(AutoencoderKL(**vae_arguments(TINY_VAE)))
        t5 = shapes_of(T5EncoderModel(T5Config.from_dict(TINY_T5)))
        clip = shapes_of(CLIPTextModel(CLIPTextConfig.from_dict(TINY_CLIP)))
        siglip = shapes_of(SiglipVisionModel(SiglipVisionConfig.from_dict(TINY_SIGLIP)))
        projector = shapes_of(_projector())
    flux_rules = transformer_rules(
        TINY_FLUX["depth"], TINY_FLUX["depth_single_blocks"], guidance=True
    )
    del t5["encoder.embed_tokens.weight"]  # the table is stored once, as shared.weight
    return {
        "flux1-dev.safetensors": file_shapes(flux_rules, transformer),
        "ae.safetensors": file_shapes(vae_rules(vae), vae),
        "dit_lora.safetensors": lora_shapes(transformer, TINY_LORA_RANK),
        "projector.safetensors": projector,
        "t5/model.safetensors": t5,
        "clip/model.safetensors": _prefixed("text_model.", clip),
        "siglip/model.safetensors": _prefixed("vision_model.", siglip),
    }


def _projector() -> StyleProjector:
    projector: StyleProjector = StyleProjector(
        style_token_nums=TINY_STYLE_TOKENS,
        siglip_token_nums=(TINY_SIGLIP["image_size"] // TINY_SIGLIP["patch_size"]) ** 2,
        siglip_token_dims=TINY_SIGLIP["hidden_size"],
        hidden_size=TINY_FLUX["hidden_size"],
    )
    return projector


def _prefixed(prefix: str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {prefix + name.removeprefix(prefix): shape for name, shape in shapes.items()}


def _random_tensors(shapes: Mapping[str, Shape], name: str) -> dict[str, np.ndarray]:
    # numpy's generator, because torch's normal numbers differ in the last bit between processors.
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    generator = np.random.default_rng(seed)
    tensors = {}
    for key, shape in sorted(shapes.items()):
        mean, deviation = _distribution(key, shape)
        values = generator.standard_normal(shape, dtype=np.float32)
        tensors[key] = values * np.float32(deviation) + np.float32(mean)
    return tensors


def _distribution(key: str, shape: Shape) -> tuple[float, float]:
    """Return a mean and a standard deviation that keep activations at one scale in a model."""
    if len(shape) > 1:
        return 0.0, 1.0 if key == "shared.weight" else 1 / math.sqrt(math.prod(shape[1:]))
    if key.endswith(".scale"):  # of queries and keys: sharp attention lets each reference show
        return 2.5, 0.1
    return (0.0, 0.05) if key.endswith("bias") else (1.0, 0.1)


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    settings = folder / "config.json"
    if not settings.is_file() or _VERSION_KEY not in read_json(settings):
        raise CheckpointError(
            str(folder), "holds other files; give a new or empty folder for the tiny checkpoint"
        )


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _copy_data(name: str, folder: Path) -> None:
    data = resources.files("uso_core").joinpath("data", *name.split("/"))
    (folder / name).write_bytes(data.read_bytes())
