"""FLUX's double and single blocks, in bfloat16 where the CPU has it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from examples.train_demo.dimensions import (
    AXES,
    DTYPE,
    HEAD,
    HEADS,
    LATENT,
    PLACE,
    RATES,
    SPARE,
    WIDTH,
)


class Double(nn.Module):
    """A double block: a side for image tokens, one for context tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.img, self.txt = Stream(WIDTH - LATENT - SPARE), Stream(WIDTH)


class Stream(nn.Module):
    """One side of a double block; it writes to `writable` channels."""

    def __init__(self, writable: int) -> None:
        super().__init__()
        self.mod = nn.Linear(WIDTH, 6 * WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, writable)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, writable)
        self.norm_q, self.norm_k = _scales(), _scales()


class Single(nn.Module):
    """A single block, for all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.mod = nn.Linear(WIDTH, 3 * WIDTH)
        self.linear1 = nn.Linear(WIDTH, 7 * WIDTH)
        self.linear2 = nn.Linear(5 * WIDTH, WIDTH - LATENT - PLACE - SPARE)
        self.norm_q, self.norm_k = _scales(), _scales()


def rotary_angles(
    size: tuple[int, int], context: int, *, has_content: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cosines and sines that turn queries and keys, each [tokens, HEAD / 2].

    Args:
        size: rows and columns of tokens.
        context: tokens of styles and text, which are not turned.
        has_content: tokens of the content follow those of the output, offset by its size.
    """
    rows, columns = size
    ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    grid = torch.stack([ys, xs], dim=2).reshape(-1, 2)
    places = [torch.zeros(context, 2), grid]
    if has_content:
        places.append(grid + torch.tensor([rows, columns]))
    at = torch.cat(places)
    rates = torch.tensor(RATES)
    still = torch.zeros(len(at), AXES[0] // 2)
    angles = torch.cat([still, at[:, :1] * rates, at[:, 1:] * rates], dim=1)
    return angles.cos().to(DTYPE), angles.sin().to(DTYPE)


def _turn(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Apply a layer in `DTYPE`."""
    return functional.linear(x, layer.weight.to(DTYPE), layer.bias.to(DTYPE))


def _write(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Apply a layer that leaves the first channels and the spare ones alone."""
    out = layer.weight.shape[0]
    if out == WIDTH:
        return linear(layer, x)
    before = WIDTH - SPARE - out
    weight = functional.pad(layer.weight, (0, 0, before, SPARE)).to(DTYPE)
    return functional.linear(x, weight, functional.pad(layer.bias, (before, SPARE)).to(DTYPE))


def _heads(
    qkv: torch.Tensor, block: Stream | Single
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split [B, L, 3 * WIDTH] into queries, keys, values [B, HEADS, L, HEAD]."""
    B, L, _ = qkv.shape
    q, k, v = qkv.view(B, L, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
    return _rms(q, block.norm_q), _rms(k, block.norm_k), v


def _rms(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * scale.to(DTYPE)


def _attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    bias: torch.Tensor,
) -> torch.Tensor:
    # In bfloat16 on a CPU, twice as fast as PyTorch's fused attention and its gradient.
    q, k, v = (each.flatten(0, 1) for each in (_turn(q, rotary), _turn(k, rotary), v))
    scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=HEAD**-0.5)
    mixed = torch.bmm(scores.softmax(-1), v)
    return torch.unflatten(mixed, 0, (-1, HEADS)).transpose(1, 2).flatten(2)


def modulated(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Norm tokens, then scale and shift them."""
    return torch.addcmul(shift, functional.layer_norm(x, (WIDTH,), eps=1e-6), 1 + scale)


def double(
    block: Double,
    img: torch.Tensor,
    txt: torch.Tensor,
    modulation: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    bias: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return image tokens and context tokens after a double block."""
    mods, parts = [], []
    for stream, x in ((block.txt, txt), (block.img, img)):
        mod = linear(stream.mod, modulation)[:, None].chunk(6, dim=2)
        mods.append(mod)
        parts.append(_heads(linear(stream.qkv, modulated(x, mod[0], mod[1])), stream))
    q, k, v = (torch.cat(pair, dim=2) for pair in zip(*parts, strict=True))
    mixed = _attend(q, k, v, rotary, bias)
    pieces = torch.split(mixed, [txt.shape[1], img.shape[1]], dim=1)
    done = []
    for stream, x, mod, piece in zip((block.txt, block.img), (txt, img), mods, pieces, strict=True):
        y = torch.addcmul(x, mod[2], _write(stream.proj, piece))
        hidden = functional.gelu(
            linear(stream.up, modulated(y, mod[3], mod[4])), approximate="tanh"
        )
        done.append(torch.addcmul(y, mod[5], _write(stream.down, hidden)))
    return done[1], done[0]


def single(
    block: Single,
    x: torch.Tensor,
    modulation: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    bias: torch.Tensor,
) -> torch.Tensor:
    """Return all tokens after a single block."""
    shift, scale, gate = linear(block.mod, modulation)[:, None].chunk(3, dim=2)
    first = linear(block.linear1, modulated(x, shift, scale))
    qkv, hidden = torch.split(first, [3 * WIDTH, 4 * WIDTH], dim=2)
    mixed = _attend(*_heads(qkv, block), rotary, bias)
    both = torch.cat([mixed, functional.gelu(hidden, approximate="tanh")], dim=2)
    return torch.addcmul(x, gate, _write(block.linear2, both))


def _scales() -> nn.Parameter:
    return nn.Parameter(torch.full((HEAD,), 1.3))
