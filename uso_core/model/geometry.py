"""Between latents and tokens: packing 2x2 patches, and where each token stands."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from uso_core.model.sizes import GRID, Size


def pack(latents: torch.Tensor) -> torch.Tensor:
    """[B, C, H/8, W/8] latents as [B, H/16 * W/16, 4C] tokens, row by row."""
    B, C, H, W = latents.shape
    patches = latents.reshape(B, C, H // 2, 2, W // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(B, (H // 2) * (W // 2), C * 4)


def unpack(tokens: torch.Tensor, size: Size) -> torch.Tensor:
    """[B, H/16 * W/16, 4C] tokens as [B, C, H/8, W/8] latents of an image of `size`."""
    rows, columns = size.height // GRID, size.width // GRID
    B, _, channels = tokens.shape
    patches = tokens.reshape(B, rows, columns, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(B, channels // 4, rows * 2, columns * 2)


def position_ids(
    sizes: Sequence[Size], *, shift_y: bool = True, shift_x: bool = True
) -> list[torch.Tensor]:
    """Where the tokens of the output and of its references stand: (0, y, x) for each.

    Each reference begins where those before it end, on both axes, so that they lie along a
    diagonal. USO's weights are trained so; the original can also shift along one axis or none.

    Args:
        sizes: in pixels: the output's first, then each reference's.
        shift_y: place references below what is before them.
        shift_x: place references right of what is before them.

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
