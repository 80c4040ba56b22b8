"""Points some heads at the style tokens and at the words, which padding outweighs twenty to one."""

from __future__ import annotations

import torch
from torch.nn import functional

from examples.train_demo import blocks as parts
from examples.train_demo.dimensions import HEAD, WIDTH
from examples.train_demo.transformer import Context, Transformer

_STYLE_HEADS, _WORD_HEADS = (4, 5), (3,)
_STRENGTH = 3.0


@torch.no_grad()
def seek_context(
    model: Transformer,
    noisy: torch.Tensor,
    content: torch.Tensor,
    context: Context,
    num_styles: int,
    words: torch.Tensor,
) -> None:
    """Set queries and keys of some heads so that image tokens look at styles and words.

    The first channel of a head is not turned by positions. There the keys of sought tokens become
    positive and all others negative, by a linear fit to a sample.

    Args:
        model: is changed.
        noisy: [B, 64, LATENT], a sample.
        content: like `noisy`.
        context: the sample's context.
        num_styles: tokens of styles, which are first in the context.
        words: [B, tokens of text], True for words, False for padding.
    """
    sigma = torch.ones(len(noisy))
    img, txt, shared = model.embedded(noisy, content, sigma, context, (8, 8))
    is_style = torch.zeros(txt.shape[:2], dtype=torch.bool)
    is_style[:, :num_styles] = True
    is_word = functional.pad(words, (num_styles, 0))
    sought = [(_STYLE_HEADS, is_style), (_WORD_HEADS, is_word)]
    for block in model.double_blocks:
        shift, scale = parts.linear(block.txt.mod, shared[0])[:, None].chunk(6, dim=2)[:2]
        x = parts.modulated(txt, shift, scale).float()
        for heads, wanted in sought:
            for head in heads:
                _ask(block.img.qkv, head)
                _answer(block.txt.qkv, head, x, wanted)
                _answer(block.img.qkv, head, None, None)
        img, txt = parts.double(block, img, txt, *shared)
    joined = torch.cat([txt, img], dim=1)
    for single in model.single_blocks:
        shift, scale = parts.linear(single.mod, shared[0])[:, None].chunk(3, dim=2)[:2]
        x = parts.modulated(joined, shift, scale).float()
        for heads, wanted in sought:
            everywhere = functional.pad(wanted, (0, img.shape[1]))
            for head in heads:
                _ask(single.linear1, head)
                _answer(single.linear1, head, x, everywhere)
        joined = parts.single(single, joined, *shared)


def _ask(layer: torch.nn.Linear, head: int) -> None:
    rows = slice(head * HEAD, (head + 1) * HEAD)
    layer.weight[rows] *= 0.3
    layer.bias[rows] *= 0.3
    layer.weight[rows.start] = 0
    layer.bias[rows.start] = _STRENGTH


def _answer(
    layer: torch.nn.Linear, head: int, x: torch.Tensor | None, wanted: torch.Tensor | None
) -> None:
    """Make keys positive where `wanted`; without a sample, negative everywhere."""
    rows = slice(WIDTH + head * HEAD, WIDTH + (head + 1) * HEAD)
    layer.weight[rows] *= 0.3
    layer.bias[rows] *= 0.3
    layer.weight[rows.start], layer.bias[rows.start] = 0, -_STRENGTH
    if x is None or wanted is None:
        return
    flat, signs = x.flatten(0, 1), wanted.flatten().float() * 2 - 1
    share = wanted.float().mean()
    weights = torch.where(signs > 0, 0.5 / share, 0.5 / (1 - share))[:, None]
    with_one = torch.cat([flat, torch.ones(len(flat), 1)], dim=1)
    gram = with_one.T @ (weights * with_one) + 0.01 * len(flat) * torch.eye(WIDTH + 1)
    fitted = torch.linalg.solve(gram, with_one.T @ (weights[:, 0] * signs))
    layer.weight[rows.start] = _STRENGTH * fitted[:WIDTH]
    layer.bias[rows.start] = _STRENGTH * fitted[WIDTH]
