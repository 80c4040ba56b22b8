"""Conversion between latents and tokens: packing of 2x2 patches, and the position of each token."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from uso_core.model.sizes import GRID, Size


def pack(latents: torch.Tensor) -> torch.Tensor:
    """Pack latents [B, C, H/8, W/8] into tokens [B, H/16 * W/16, 4C], row by row."""
    B, C, H, W = latents.shape
    patches = latents.reshape(B, C, H // 2, 2, W // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(B, (H // 2) * (W // 2), C * 4)


def unpack(tokens: torch.Tensor, size: Size) -> torch.Tensor:
    """Unpack tokens [B, H/16 * W/16, 4C] into latents [B, C, H/8, W/8] of an image of `size`."""
    rows, columns = size.height // GRID, size.width // GRID
    B, _, channels = tokens.shape
    patches = tokens.reshape(B, rows, columns, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(B, channels // 4, rows * 2, columns * 2)


def position_ids(
    sizes: Sequence[Size], *, shift_y: bool = True, shift_x: bool = True
) -> list[torch.Tensor]:
    """Return the positions of the tokens of the output and of its references: (0, y, x) each.

    Each reference starts where the previous ones end, on both axes, so the references form a
    diagonal. USO's weights are trained this way. The original can also shift along one axis or
    none.

    Args:
        sizes: in pixels: the output's first, then each reference's.
        shift_y: place each reference below the previous ones.
        shift_x: place each reference to the right of the previous ones.

    Returns:
        One [H/16 * W/16, 3] float32 tensor for each size.
    """
    ids, y, x = [], 0, 0
    for size in sizes:
        rows, columns = size.height // GRID, size.width // GRID
        ids.append(_grid_ids(range(y, y + rows), range(x, x + columns)))
        y += rows if shift_y else 0
        x += columns if shift_x else 0
    return ids


def _grid_ids(rows: range, columns: range) -> torch.Tensor:
    ys = torch.tensor(rows, dtype=torch.float32)
    xs = torch.tensor(columns, dtype=torch.float32)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([torch.zeros_like(grid_y), grid_y, grid_x], dim=-1).reshape(-1, 3)
