"""The files of a user's LoRA and their part in a model's fingerprint, without torch."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from uso_core.errors import CheckpointError
from uso_core.loading.fingerprint import file_digest

HEADER_KEY = "lora_adapter_metadata"
"""Name of the text in a file's header in which diffusers writes rank and alpha."""

_PEFT_WEIGHTS, _PEFT_SETTINGS = "adapter_model.safetensors", "adapter_config.json"
_KOHYA_PART = ".lora_down.weight"
_GROUPS = (("transformer.",), ("lora_transformer_",), ("lora_unet_", "diffusion_model."))
_TEXT = ("lora_te", "text_encoders.")
_READ_AGAIN = "read as a whole since the version after 0.1.0"


def settings_beside(path: str) -> str | None:
    """Return the path or URL of the file with a LoRA's rank and alpha, in the same folder.

    Only PEFT writes one, for a file that it names `adapter_model.safetensors`; None for others.
    """
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_PEFT_SETTINGS}" if name == _PEFT_WEIGHTS else None


def read_settings_beside(path: str) -> str | None:
    """Return the content of the file with a LoRA's rank and alpha; None if there is none for it.

    Raises:
        CheckpointError: there should be one, but it cannot be read.
    """
    settings = settings_beside(path)
    if settings is None:
        return None
    try:
        return Path(settings).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            path,
            f"is a file of PEFT, so its alpha is in {_PEFT_SETTINGS} in the same folder, which"
            f" cannot be read ({error}); put it there",
        ) from error


def lora_facts(path: str, weight: float) -> list[str]:
    """Return everything that determines the effect of a LoRA on a base model.

    Args:
        path: the LoRA file on disk.
        weight: factor for its updates.

    Raises:
        CheckpointError: the file or its settings cannot be read.
    """
    facts = [f"{file_digest(Path(path))} {weight!r}"]
    if settings := read_settings_beside(path):
        facts.append(settings)
    if path.endswith(".safetensors") and _was_read_in_part(path):
        facts.append(_READ_AGAIN)
    return facts


def _was_read_in_part(path: str) -> bool:
    """Return True if version 0.1.0 merged a file in part, or with another scale.

    Its images must not be taken for images of the whole file, although the file is the same.
    """
    with safe_open(path, framework="numpy") as file:
        keys, header = list(file.keys()), file.metadata() or {}
    if HEADER_KEY in header or any(k.endswith((".diff", ".diff_b", ".dora_scale")) for k in keys):
        return True
    groups = {
        next((group for group in _GROUPS if key.startswith(group)), None)
        for key in keys
        if not key.startswith(_TEXT)
    }
    return len(groups) > 1 and any(key.endswith(_KOHYA_PART) for key in keys)
