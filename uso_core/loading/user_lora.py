"""LoRAs of the user's own, merged in addition to USO's, in any key layout that diffusers reads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers.loaders import FluxLoraLoaderMixin

from uso_core.errors import CheckpointError
from uso_core.loading.lora import Lora
from uso_core.loading.tensor_files import Shape, TensorFiles

_PREFIX = "transformer."
_DOWN, _UP, _ALPHA = ".lora_A.weight", ".lora_B.weight", ".alpha"


def read_user_lora(files: TensorFiles, shapes: Mapping[str, Shape], weight: float) -> Lora:
    """Read a LoRA in the layout of diffusers (PEFT), kohya's scripts, XLabs, or others it converts.

    Args:
        files: the tensors of one LoRA.
        shapes: shapes of the transformer's weights, by diffusers' names.
        weight: factor for its updates.

    Raises:
        CheckpointError: a key belongs to no layer of the transformer, has the wrong shape, or is
            not a LoRA key; the message names the key.
    """
    tensors = _converted(files)
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for key in tensors:
        layer = key.removeprefix(_PREFIX).removesuffix(_DOWN).removesuffix(_UP).removesuffix(_ALPHA)
        name, stem = f"{layer}.weight", f"{_PREFIX}{layer}"
        if name not in shapes or key not in {stem + part for part in (_DOWN, _UP, _ALPHA)}:
            raise CheckpointError(
                files.name,
                f"{key} is not a LoRA key of this model's transformer; use another file",
            )
        if name not in pairs:
            pairs[name] = _pair(files.name, tensors, stem, shapes[name], weight)
    return Lora(pairs)


def _pair(
    file: str, tensors: Mapping[str, torch.Tensor], stem: str, shape: Shape, weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return up, multiplied by the weight and the file's own scale, and down."""
    down, up = tensors.get(stem + _DOWN), tensors.get(stem + _UP)
    if down is None or up is None:
        raise CheckpointError(file, f"{stem} has only one of {_DOWN} and {_UP}")
    found = (*up.shape[:1], *down.shape[1:])
    if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0] or found != shape:
        raise CheckpointError(
            file,
            f"{stem} is {list(up.shape)} times {list(down.shape)}, expected {list(shape)}",
        )
    alpha = tensors.get(stem + _ALPHA)
    scale = weight if alpha is None else weight * alpha.item() / len(down)
    return up.float() * scale, down


def _converted(files: TensorFiles) -> dict[str, torch.Tensor]:
    """Return all tensors under diffusers' names."""
    tensors = {key: files.read(key) for key in files.shapes}
    try:
        converted, alphas = FluxLoraLoaderMixin.lora_state_dict(dict(tensors), return_alphas=True)
    except (AssertionError, AttributeError, KeyError, RuntimeError, ValueError) as error:
        # diffusers' converters raise these for keys and shapes that they do not expect.
        raise CheckpointError(
            files.name, f"diffusers cannot read its keys ({', '.join(list(tensors)[:3])}): {error}"
        ) from error
    if not converted:
        raise CheckpointError(
            files.name, f"does not hold a LoRA of FLUX: {', '.join(list(tensors)[:3])}"
        )
    return {**converted, **(alphas or {})}
