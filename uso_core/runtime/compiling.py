"""Compilation of the transformer's blocks."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from torch.fx.experimental import _config as symbolic_shapes


def compile_blocks(transformer: FluxTransformer2DModel) -> None:
    """Compile the blocks, each kind once, for all shapes.

    Compiled separately for each shape, an image's last bits would depend on the shapes generated
    before it, and a dataset of many shapes would keep waiting for the compiler.

    Call it before the step cache is enabled: the cache's hooks branch on values, which cannot be
    compiled, so they must wrap the compiled blocks.

    Raises:
        TypeError: the step cache is already enabled.
    """
    if transformer.is_cache_enabled:
        raise TypeError("compile the blocks before enabling the step cache")
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        # Not block.compile(), which would compile the hooks too.
        block.forward = torch.compile(block.forward, fullgraph=True, dynamic=True)
    # Otherwise the compiler assumes that sizes that are equal in the first image are equal in all:
    # 1024x768 has as many tokens as a token has numbers. Set around each call, because the setting
    # is per thread and a block is compiled when it is first called.
    without_duck_shapes = symbolic_shapes.patch(use_duck_shape=False)  # type: ignore[attr-defined]  # made by torch
    transformer.forward = without_duck_shapes(transformer.forward)
