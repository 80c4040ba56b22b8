"""The weights that the transformer starts with, which save much of the training."""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from examples.train_demo.blocks import Single
from examples.train_demo.dimensions import (
    ALIGNED,
    AXES,
    HEAD,
    LATENT,
    PLACE,
    RATES,
    SPARE,
    WIDTH,
)
from examples.train_demo.transformer import Transformer


@torch.no_grad()
def initialise(model: Transformer) -> None:
    """Give a new transformer its weights; all others are random."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.zeros_(module.bias)
    for embedder in (model.time, model.guidance, model.pooled):
        embedder.layers[1].weight.mul_(0.5)
    for block in model.double_blocks:
        for stream in (block.img, block.txt):
            _quiet(stream.mod, gates=(2, 5))
            stream.proj.weight.mul_(0.5)
            stream.down.weight.mul_(0.5)
            # Queries and keys that depend on the position, and values that tell the streams apart:
            # from these the model learns the size of the output.
            stream.qkv.bias.normal_()
    for single in model.single_blocks:
        _quiet(single.mod, gates=(2,))
        single.linear2.weight.mul_(0.5)
        _align(single)
    writable = WIDTH - LATENT - SPARE
    model.finished.weight.mul_(0.3)
    fetch = model.single_blocks[0].linear2
    for channel in range(ALIGNED * HEAD):  # the content is the first estimate
        fetch.weight[channel] = 0
        fetch.weight[channel, channel] = 1
        model.finished.weight[channel, PLACE + channel] += 1
    assert ALIGNED * HEAD == LATENT <= writable - PLACE


def _quiet(mod: nn.Linear, gates: tuple[int, ...]) -> None:
    mod.weight.mul_(0.05)
    for gate in gates:
        mod.bias[gate * WIDTH : (gate + 1) * WIDTH] = 1


def _align(block: Single) -> None:
    """Turn the first heads to the token of the content at the same place.

    A key is the same for all tokens, and FLUX turns it by the token's position. A query is turned
    by its own; the channels `PLACE` turn it further by the rows and columns of the output, which
    is the distance between the two tokens.
    """
    for head in range(ALIGNED):
        _look_at_content(block.linear1, head)
    block.norm_q.fill_(2.2)
    block.norm_k.fill_(2.2)


def _look_at_content(layer: nn.Linear, head: int) -> None:
    half, start = HEAD // 2, head * HEAD
    sources = {}  # pair of channels that FLUX turns at one rate -> its cosine in the stream
    for axis in range(2):
        for rate in range(2):
            pair = AXES[0] // 2 + axis * len(RATES) + rate
            sources[pair] = LATENT + axis * 4 + rate * 2
    for pair, part in product(range(half), range(2)):
        row = start + pair + part * half
        layer.weight[WIDTH + row].mul_(0.03)
        layer.bias[WIDTH + row] = float(pair in sources and part == 0)
        if pair in sources:
            layer.weight[row] = 0
            layer.weight[row, sources[pair] + part] = 2
        else:
            layer.weight[row].mul_(0.03)
    values = slice(2 * WIDTH + start, 2 * WIDTH + start + HEAD)
    layer.weight[values] = torch.eye(WIDTH)[start : start + HEAD]  # the latents as they are
