"""Loads the encoders of text and style images from files in transformers' format.

The files often hold more than is needed: the other tower of CLIP or SigLIP, T5's decoder. Those
keys are listed here; any other key that the model does not know is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import init_empty_weights
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)
from transformers.initialization import no_init_weights

from uso_core.errors import CheckpointError
from uso_core.loading.component_files import ComponentFiles, ComponentName
from uso_core.loading.key_mapping import Rule
from uso_core.loading.model_configs import encoder_config
from uso_core.loading.strict_load import Destination, load_strictly
from uso_core.loading.tensor_files import TensorFiles, open_tensor_files, without_prefixes

_UNUSED_CLIP = (
    "vision_model.",
    "visual_projection.",
    "text_projection.",
    "logit_scale",
    "text_model.embeddings.position_ids",
)
_UNUSED_SIGLIP = (
    "text_model.",
    "logit_scale",
    "logit_bias",
    "vision_model.embeddings.position_ids",
    "vision_model.head.",  # a pooling that styles do not use
    "head.",
)
_UNUSED_T5 = ("decoder.", "lm_head.")
_UNUSED: dict[ComponentName, tuple[str, ...]] = {
    "text_encoder": _UNUSED_CLIP,
    "text_encoder_2": _UNUSED_T5,
    "image_encoder": _UNUSED_SIGLIP,
}
_T5_TABLE, _T5_TABLE_COPY = "shared.weight", "encoder.embed_tokens.weight"


def encoder_files(name: ComponentName, component: ComponentFiles) -> TensorFiles:
    """Return the tensors of an encoder's files that are loaded.

    Args:
        name: `text_encoder`, `text_encoder_2` or `image_encoder`.
        component: the encoder's files, on disk.

    Raises:
        CheckpointError: a file cannot be read.
    """
    files = open_tensor_files(component.weight_paths)
    copy = (_T5_TABLE_COPY,) if _T5_TABLE in files.shapes else ()
    return without_prefixes(files, _UNUSED[name] + copy)


def load_clip(
    component: ComponentFiles, tokenizer: CLIPTokenizer, destination: Destination
) -> CLIPTextModel:
    """Load CLIP's text tower.

    Args:
        component: CLIP's files, on disk.
        tokenizer: its end-of-text token marks the pooled output; old configs name a wrong one.
        destination: dtype and device.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(component.config_path, ("clip", "clip_text_model"), "text_config")
    config = CLIPTextConfig.from_dict(values | {"eos_token_id": tokenizer.eos_token_id})
    with _without_weights():
        module = CLIPTextModel(config)
    files = encoder_files("text_encoder", component)
    load_strictly(module, files, _tower_rules(module, files, "text_model."), destination)
    return module


def load_siglip(component: ComponentFiles, destination: Destination) -> SiglipVisionModel:
    """Load SigLIP's vision tower without its head: style tokens are made of the layers' states.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(
        component.config_path, ("siglip", "siglip_vision_model"), "vision_config"
    )
    with _without_weights():
        module = SiglipVisionModel(
            SiglipVisionConfig.from_dict(values | {"vision_use_head": False})
        )
    # As in the original; the rounding of fused kernels alone shifts style tokens by 1e-5.
    module.set_attn_implementation("eager")
    files = encoder_files("image_encoder", component)
    load_strictly(module, files, _tower_rules(module, files, "vision_model."), destination)
    return module


def load_t5(component: ComponentFiles, destination: Destination) -> T5EncoderModel:
    """Load T5's encoder.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(component.config_path, ("t5",), "")
    with _without_weights():
        module = T5EncoderModel(T5Config.from_dict(values))
    files = encoder_files("text_encoder_2", component)
    _check_t5_tables(component)
    table = _T5_TABLE if _T5_TABLE in files.shapes else _T5_TABLE_COPY
    rules = [Rule(name, (name,)) for name in module.state_dict() if not _is_t5_table(name)]
    rules.append(Rule(table, (_T5_TABLE,)))
    tied = {_T5_TABLE_COPY: _T5_TABLE}
    load_strictly(module, files, rules, destination, tied=tied)
    module.tie_weights()
    return module


@contextmanager
def _without_weights() -> Iterator[None]:
    """Build models whose parameters have no values, and let transformers not draw any for them.

    Their buffers have theirs. For the encoders of FLUX this saves a quarter of a second.
    """
    with init_empty_weights(include_buffers=False), no_init_weights():
        yield


def load_clip_tokenizer(component: ComponentFiles) -> CLIPTokenizer:
    """Load CLIP's tokenizer.

    Raises:
        CheckpointError: its files cannot be read.
    """
    with _readable(component):
        return CLIPTokenizer.from_pretrained(component.folder, local_files_only=True)


def load_t5_tokenizer(component: ComponentFiles) -> T5Tokenizer:
    """Load T5's tokenizer, from tokenizer.json or from spiece.model alone.

    Raises:
        CheckpointError: its files cannot be read.
    """
    with _readable(component):
        return T5Tokenizer.from_pretrained(component.folder, local_files_only=True)


def load_image_processor(component: ComponentFiles) -> SiglipImageProcessorPil:
    """Load SigLIP's image processor.

    Raises:
        CheckpointError: its file cannot be read.
    """
    with _readable(component):
        return SiglipImageProcessorPil.from_pretrained(component.folder, local_files_only=True)


@contextmanager
def _readable(component: ComponentFiles) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the tokenizers library raises no narrower type
        raise CheckpointError(
            str(component.folder),
            f"{', '.join(component.names)} cannot be read ({error}); fetch them again",
        ) from error


def _tower_rules(module: nn.Module, files: TensorFiles, prefix: str) -> list[Rule]:
    """Return the rules of one tower; files and versions of transformers may lack the prefix."""
    file_prefix = prefix if any(key.startswith(prefix) for key in files.shapes) else ""
    return [Rule(file_prefix + name.removeprefix(prefix), (name,)) for name in module.state_dict()]


def _check_t5_tables(component: ComponentFiles) -> None:
    """Raise `CheckpointError` unless both tables of token embeddings, if there, are the same."""
    files = open_tensor_files(component.weight_paths)
    if not {_T5_TABLE, _T5_TABLE_COPY}.issubset(files.shapes):
        return
    table, copy = (files.read(name) for name in (_T5_TABLE, _T5_TABLE_COPY))
    if not torch.equal(table, copy.to(table.dtype)):
        raise CheckpointError(
            files.name,
            f"{_T5_TABLE_COPY} differs from {_T5_TABLE}, of which it has to be a copy",
        )


def _is_t5_table(name: str) -> bool:
    return name in {_T5_TABLE, _T5_TABLE_COPY}
