"""Compiling the transformer's blocks."""

from __future__ import annotations

import torch
from diffusers import FluxTransformer2DModel
from torch.fx.experimental import _config as symbolic_shapes


def compile_blocks(transformer: FluxTransformer2DModel) -> None:
    """Compile the blocks, each kind once, for all shapes at once.

    Compiled for each shape apart, an image's last bits would depend on which shapes were drawn
    before it, and a dataset of many shapes would wait for the compiler again and again.

    Call it before the step cache is enabled: the cache's hooks look at numbers, which is nothing
    for a compiler, so they have to stay around the compiled blocks.
    """
    if transformer.is_cache_enabled:
        raise TypeError("blocks are compiled before the step cache is enabled")
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        # Not block.compile(), which compiles hooks too.
        block.forward = torch.compile(block.forward, fullgraph=True, dynamic=True)
    # Else the compiler takes sizes that are equal in the first picture for equal in all: 1024x768
    # has as many tokens as a token has numbers. At each call, because the setting is a thread's own
    # and a block is compiled when it is first called.
    apart = symbolic_shapes.patch(use_duck_shape=False)  # type: ignore[attr-defined]  # made by torch
    transformer.forward = apart(transformer.forward)
