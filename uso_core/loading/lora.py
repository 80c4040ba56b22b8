"""USO's LoRA, read from `dit_lora.safetensors` and merged into the base weights during loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from uso_core.loading.key_mapping import lora_targets
from uso_core.loading.strict_load import check_keys, read_floats
from uso_core.loading.tensor_files import Shape, TensorFiles


@dataclass(frozen=True)
class Lora:
    """Low-rank updates of a `FluxTransformer2DModel`, to be added once, with a scale of 1.

    Attributes:
        pairs: name of a weight [rows, columns] → (up [rows, rank], down [rank, columns]).
    """

    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    def merged(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """Return `weight` plus its update, in float32; without an update, `weight` unchanged.

        The sum is computed before the cast to the model's dtype: adding the update to a bfloat16
        weight would lose most of it to rounding.
        """
        if name not in self.pairs:
            return weight
        up, down = (t.to(weight.device, torch.float32) for t in self.pairs[name])
        return torch.addmm(weight.float(), up, down)


def read_lora(files: TensorFiles, shapes: Mapping[str, Shape]) -> Lora:
    """Read a LoRA of any rank that fits a transformer.

    Args:
        files: the tensors of `dit_lora.safetensors`.
        shapes: shapes of the transformer's weights, by diffusers' names.

    Raises:
        CheckpointError: a key is missing, unknown, quantized, or has the wrong shape.
    """
    ranks = [shape[0] for key, shape in files.shapes.items() if key.endswith(".down.weight")]
    check_keys(files, lora_shapes(shapes, ranks[0] if ranks else 0))
    pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for stem, weights in _targets(shapes).items():
        down, up = (read_floats(files, f"{stem}.{part}.weight") for part in ("down", "up"))
        rows = [shapes[weight][0] for weight in weights]
        pairs |= {w: (part, down) for w, part in zip(weights, torch.split(up, rows), strict=True)}
    return Lora(pairs)


def lora_shapes(shapes: Mapping[str, Shape], rank: int) -> dict[str, Shape]:
    """Return the keys and shapes of a LoRA file for a transformer.

    Args:
        shapes: shapes of the transformer's weights, by diffusers' names.
        rank: rank of every update.
    """
    expected: dict[str, Shape] = {}
    for stem, weights in _targets(shapes).items():
        expected[f"{stem}.down.weight"] = (rank, shapes[weights[0]][1])
        expected[f"{stem}.up.weight"] = (sum(shapes[weight][0] for weight in weights), rank)
    return expected


def _targets(shapes: Mapping[str, Shape]) -> dict[str, tuple[str, ...]]:
    return lora_targets(
        _num_blocks("transformer_blocks", shapes), _num_blocks("single_transformer_blocks", shapes)
    )


def _num_blocks(prefix: str, shapes: Mapping[str, Shape]) -> int:
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{prefix}.")})
