"""LoRAs of the user's own, beside USO's: any key layout that diffusers reads."""

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
        files: of one LoRA.
        shapes: of the transformer's weights, by diffusers' names.
        weight: what its updates are multiplied with.

    Raises:
        CheckpointError: a key is of no layer of the transformer, of the wrong shape, or of a kind
            that is no LoRA of it; it names the key.
    """
    tensors = _converted(files)
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for key in tensors:
        layer = key.removeprefix(_PREFIX).removesuffix(_DOWN).removesuffix(_UP).removesuffix(_ALPHA)
        name, stem = f"{layer}.weight", f"{_PREFIX}{layer}"
        if name not in shapes or key not in {stem + part for part in (_DOWN, _UP, _ALPHA)}:
            raise CheckpointError(
                files.name, f"{key} is no LoRA of a layer of this model's transformer; use another"
            )
        if name not in pairs:
            pairs[name] = _pair(files.name, tensors, stem, shapes[name], weight)
    return Lora(pairs)


def _pair(
    file: str, tensors: Mapping[str, torch.Tensor], stem: str, shape: Shape, weight: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Up, which carries the weight and the scale of the file, and down."""
    down, up = tensors.get(stem + _DOWN), tensors.get(stem + _UP)
    if down is None or up is None:
        raise CheckpointError(file, f"{stem} has one of {_DOWN} and {_UP}, and not the other")
    found = (*up.shape[:1], *down.shape[1:])
    if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0] or found != shape:
        raise CheckpointError(
            file,
            f"{stem} is {list(up.shape)} times {list(down.shape)} where {list(shape)} is needed",
        )
    alpha = tensors.get(stem + _ALPHA)
    scale = weight if alpha is None else weight * alpha.item() / len(down)
    return up.float() * scale, down


def _converted(files: TensorFiles) -> dict[str, torch.Tensor]:
    """All tensors, under the names that diffusers has for them."""
    tensors = {key: files.read(key) for key in files.shapes}
    try:
        converted, alphas = FluxLoraLoaderMixin.lora_state_dict(dict(tensors), return_alphas=True)
    except (AssertionError, AttributeError, KeyError, RuntimeError, ValueError) as error:
        # What diffusers' converters raise for keys and shapes that they do not expect.
        raise CheckpointError(
            files.name, f"diffusers cannot read its keys ({', '.join(list(tensors)[:3])}): {error}"
        ) from error
    if not converted:
        raise CheckpointError(files.name, f"holds no LoRA of FLUX: {', '.join(list(tensors)[:3])}")
    return {**converted, **(alphas or {})}
