"""The encoders of text and style images, from files in transformers' format.

The files often hold more than is needed: CLIP's and SigLIP's other tower, T5's decoder. Those keys
are named here; any other key that the model does not know is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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

from uso_core.errors import CheckpointError
from uso_core.loading.key_mapping import Rule
from uso_core.loading.layouts import ComponentFiles, ComponentName
from uso_core.loading.model_configs import encoder_config
from uso_core.loading.strict_load import Placement, load_strictly
from uso_core.loading.tensor_files import TensorFiles, leave_out, open_tensor_files

_BESIDE_CLIP_TEXT = (
    "vision_model.",
    "visual_projection.",
    "text_projection.",
    "logit_scale",
    "text_model.embeddings.position_ids",
)
_BESIDE_SIGLIP_VISION = (
    "text_model.",
    "logit_scale",
    "logit_bias",
    "vision_model.embeddings.position_ids",
    "vision_model.head.",  # pools what styles are not made of
    "head.",
)
_BESIDE_T5_ENCODER = ("decoder.", "lm_head.")
_BESIDE: dict[ComponentName, tuple[str, ...]] = {
    "text_encoder": _BESIDE_CLIP_TEXT,
    "text_encoder_2": _BESIDE_T5_ENCODER,
    "image_encoder": _BESIDE_SIGLIP_VISION,
}
_T5_TABLE, _T5_TABLE_AGAIN = "shared.weight", "encoder.embed_tokens.weight"


def encoder_files(name: ComponentName, part: ComponentFiles) -> TensorFiles:
    """The tensors of an encoder's files that are loaded.

    Args:
        name: `text_encoder`, `text_encoder_2` or `image_encoder`.
        part: on disk.

    Raises:
        CheckpointError: a file cannot be read.
    """
    files = open_tensor_files(part.weight_paths)
    twice = (_T5_TABLE_AGAIN,) if _T5_TABLE in files.shapes else ()
    return leave_out(files, _BESIDE[name] + twice)


def load_clip(part: ComponentFiles, tokenizer: CLIPTokenizer, place: Placement) -> CLIPTextModel:
    """CLIP's text tower.

    Args:
        part: on disk.
        tokenizer: its end-of-text token is where the pooled output is taken; old configs name a
            wrong one.
        place: dtype and device.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(part.config_path, ("clip", "clip_text_model"), "text_config")
    config = CLIPTextConfig.from_dict(values | {"eos_token_id": tokenizer.eos_token_id})
    with init_empty_weights(include_buffers=False):
        module = CLIPTextModel(config)
    files = encoder_files("text_encoder", part)
    load_strictly(module, files, _tower_rules(module, files, "text_model."), place)
    return module


def load_siglip(part: ComponentFiles, place: Placement) -> SiglipVisionModel:
    """SigLIP's vision tower without its head: styles are made of the layers' states.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(part.config_path, ("siglip", "siglip_vision_model"), "vision_config")
    with init_empty_weights(include_buffers=False):
        module = SiglipVisionModel(
            SiglipVisionConfig.from_dict(values | {"vision_use_head": False})
        )
    # As the original runs it; the fused kernels' rounding alone puts style tokens 1e-5 off.
    module.set_attn_implementation("eager")
    files = encoder_files("image_encoder", part)
    load_strictly(module, files, _tower_rules(module, files, "vision_model."), place)
    return module


def load_t5(part: ComponentFiles, place: Placement) -> T5EncoderModel:
    """T5's encoder.

    Raises:
        CheckpointError: the files do not hold this model.
    """
    values = encoder_config(part.config_path, ("t5",), "")
    with init_empty_weights(include_buffers=False):
        module = T5EncoderModel(T5Config.from_dict(values))
    files = encoder_files("text_encoder_2", part)
    table = _T5_TABLE if _T5_TABLE in files.shapes else _T5_TABLE_AGAIN
    rules = [Rule(name, (name,)) for name in module.state_dict() if not _is_t5_table(name)]
    rules.append(Rule(table, (_T5_TABLE,)))
    tied = {_T5_TABLE_AGAIN: _T5_TABLE}
    load_strictly(module, files, rules, place, tied=tied)
    module.tie_weights()
    return module


def load_clip_tokenizer(part: ComponentFiles) -> CLIPTokenizer:
    """CLIP's tokenizer.

    Raises:
        CheckpointError: its files cannot be read.
    """
    with _small_files(part):
        return CLIPTokenizer.from_pretrained(part.folder, local_files_only=True)


def load_t5_tokenizer(part: ComponentFiles) -> T5Tokenizer:
    """T5's tokenizer, from tokenizer.json or from spiece.model alone.

    Raises:
        CheckpointError: its files cannot be read.
    """
    with _small_files(part):
        return T5Tokenizer.from_pretrained(part.folder, local_files_only=True)


def load_image_processor(part: ComponentFiles) -> SiglipImageProcessorPil:
    """SigLIP's image processor.

    Raises:
        CheckpointError: its file cannot be read.
    """
    with _small_files(part):
        return SiglipImageProcessorPil.from_pretrained(part.folder, local_files_only=True)


@contextmanager
def _small_files(part: ComponentFiles) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the tokenizers library raises no narrower type
        raise CheckpointError(
            str(part.folder),
            f"{', '.join(part.names)} cannot be read ({error}); fetch them again",
        ) from error


def _tower_rules(module: nn.Module, files: TensorFiles, prefix: str) -> list[Rule]:
    """The rules of one tower; files and versions of transformers differ in having the prefix."""
    in_file = prefix if any(key.startswith(prefix) for key in files.shapes) else ""
    return [Rule(in_file + name.removeprefix(prefix), (name,)) for name in module.state_dict()]


def _is_t5_table(name: str) -> bool:
    return name in {_T5_TABLE, _T5_TABLE_AGAIN}
