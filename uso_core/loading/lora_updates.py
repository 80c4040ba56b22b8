"""Changes that a user's LoRA makes to one weight, each computed in float32 from the base weight.

Several LoRAs add up: each is computed from the base weight, not from the sum so far, because each
was trained on the base weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch

_LEAST_NORM = 1e-12


class Update(Protocol):
    """A change of one weight or bias."""

    def change(self, base: torch.Tensor) -> torch.Tensor:
        """Return the tensor to be added to `base`; both are float32, on one device."""
        ...


@dataclass(frozen=True)
class LowRank:
    """A product of two matrices: `scale * up @ down`.

    Attributes:
        up: [rows, rank].
        down: [rank, columns].
        scale: the file's own scale times the user's weight.
    """

    up: torch.Tensor
    down: torch.Tensor
    scale: float

    def change(self, base: torch.Tensor) -> torch.Tensor:
        """See `Update`."""
        return _like(base, self.up) * self.scale @ _like(base, self.down)


@dataclass(frozen=True)
class Decomposed:
    """A DoRA: the low-rank sum, with the norm of each row or column set to a trained magnitude.

    Attributes:
        low_rank: the product; its scale is the file's own.
        magnitude: [rows, 1], or [1, columns] for the norms of columns.
        weight: the user's weight, a factor for the change as a whole.
    """

    low_rank: LowRank
    magnitude: torch.Tensor
    weight: float

    def change(self, base: torch.Tensor) -> torch.Tensor:
        """See `Update`."""
        tuned = base + self.low_rank.change(base)
        summed = 1 if self.magnitude.shape[1] == 1 else 0
        norm = torch.linalg.vector_norm(tuned, dim=summed, keepdim=True)
        tuned *= _like(base, self.magnitude) / norm.clamp_min(_LEAST_NORM)
        return (tuned - base) * self.weight


@dataclass(frozen=True)
class Difference:
    """A tensor of the weight's own shape that is added to it.

    Attributes:
        values: the tensor.
        scale: factor for it.
    """

    values: torch.Tensor
    scale: float

    def change(self, base: torch.Tensor) -> torch.Tensor:
        """See `Update`."""
        return _like(base, self.values) * self.scale


def merge_updates(
    updates: Iterable[Update], total: torch.Tensor, base: torch.Tensor
) -> torch.Tensor:
    """Return `total` plus every update of `base`, in float32; without updates, `total` unchanged.

    Args:
        updates: the changes of one weight, by different LoRAs.
        total: `base` plus the updates that are merged already.
        base: the weight in the base checkpoint.
    """
    for update in updates:
        total = total.float() + update.change(base.float())
    return total


def _like(other: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(other.device, torch.float32)
