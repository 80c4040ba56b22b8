"""FLUX's transformer, written for training on a CPU; `export` writes it in the original's format.

It computes what `FluxTransformer2DModel` computes, in bfloat16, with three differences in its
parameters, none in the function that they can express:

- It estimates the finished latents, not the velocity. The noisy latents pass through 64 channels
  that no block writes to, so the velocity follows exactly: (noisy - finished) / sigma. The factor
  1 / sigma is a modulation of the last norm.
- 8 channels tell each token the rows and columns of the output. With them, some heads look at the
  same place of the content from the start, in any size.
- The padding of the text is one token with the weight of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

HEADS, HEAD = 6, 32
WIDTH = HEADS * HEAD
DOUBLE, SINGLE = 2, 3
LATENT = 64
PLACE = 8
"""Channels after those of the latents: cosine and sine of the rows and columns, at two rates."""
SPARE = 3
"""Last channels, which stay 0; the export needs them to undo the last norm."""
AXES = (4, 14, 14)
LATENT_SCALE = 0.5
TEXT_TOKENS = 512
TEXT_WIDTH, POOLED = 32, 32
VOCABULARY = 384
ALIGNED = 2
"""Heads of each single block that start by looking at the same place of the content."""
RATES = [10000 ** (-2 * index / AXES[1]) for index in range(AXES[1] // 2)]


_Shared = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Context:
    """Inputs that condition a batch.

    Attributes:
        tokens: [B, L, WIDTH]: tokens of the styles, then of the text.
        padding: text tokens that the last token stands for, besides itself.
        pooled: [B, POOLED].
        guidance: [B].
    """

    tokens: torch.Tensor
    padding: int
    pooled: torch.Tensor
    guidance: torch.Tensor


@dataclass(frozen=True)
class Notes:
    """Facts that are known after the double blocks.

    Attributes:
        place: the channels `PLACE` of all image tokens, [B, N, PLACE].
        swell: mean square of the context tokens. Left alone, one channel grows a thousandfold and
            drowns the style in the norms that follow.
    """

    place: torch.Tensor
    swell: torch.Tensor

    @classmethod
    def of(cls, img: torch.Tensor, txt: torch.Tensor) -> Notes:
        """Return the notes on tokens of the image and the context."""
        return cls(img[:, :, LATENT : LATENT + PLACE].float(), txt.float().pow(2).mean())


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


class Embedder(nn.Sequential):
    """Embeds a value as a vector [WIDTH]."""

    def __init__(self, inputs: int, hidden: int) -> None:
        first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, WIDTH)
        super().__init__(first, nn.SiLU(), last)

    @property
    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        """The two layers with weights."""
        return cast("nn.Linear", self[0]), cast("nn.Linear", self[2])


class Transformer(nn.Module):
    """Estimates finished latents; the embedders of text are parts of it.

    `start` gives a new one its weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(VOCABULARY, TEXT_WIDTH))
        self.table_scale = nn.Parameter(torch.ones(TEXT_WIDTH))
        self.context = nn.Linear(TEXT_WIDTH, WIDTH)
        self.start = nn.Parameter(0.3 * torch.randn(WIDTH - LATENT - SPARE))
        self.time = Embedder(256, TIME_HIDDEN)
        self.guidance = Embedder(256, WIDTH)
        self.pooled = Embedder(POOLED, WIDTH)
        doubles = nn.ModuleList(Double() for _ in range(DOUBLE))
        singles = nn.ModuleList(Single() for _ in range(SINGLE))
        self.double_blocks = cast("Sequence[Double]", doubles)
        self.single_blocks = cast("Sequence[Single]", singles)
        self.finished = nn.Linear(WIDTH - LATENT - SPARE, LATENT)

    def text(self, ids: torch.Tensor) -> torch.Tensor:
        """Embed T5 pieces [B, L] as tokens; T5 is a table and a norm."""
        rows = self.table[ids]
        normed = rows * torch.rsqrt(rows.pow(2).mean(-1, keepdim=True) + 1e-6)
        tokens: torch.Tensor = self.context(normed * self.table_scale)
        return tokens

    def forward(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, Notes]:
        """Estimate finished latents.

        Args:
            noisy: [B, rows * columns, LATENT].
            content: the same shape, or None.
            sigma: [B], 0 to 1.
            context: see `Context`.
            size: rows and columns of tokens.

        Returns:
            The estimate, like `noisy`, and notes.
        """
        n, L = noisy.shape[1], context.tokens.shape[1]
        img, txt, shared = self._through_double(noisy, content, sigma, context, size)
        joined = torch.cat([txt, img], dim=1)
        for block in self.single_blocks:
            joined = single(block, joined, *shared)
        written = joined[:, L : L + n, LATENT : WIDTH - SPARE].float()
        return self.finished(written), Notes.of(img, txt)

    def places(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> Notes:
        """Return the second result of `forward` alone."""
        img, txt, _ = self._through_double(noisy, content, sigma, context, size)
        return Notes.of(img, txt)

    def _through_double(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor, _Shared]:
        img, txt, shared = self.embedded(noisy, content, sigma, context, size)
        for block in self.double_blocks:
            img, txt = double(block, img, txt, *shared)
        return img, txt, shared

    def embedded(
        self,
        noisy: torch.Tensor,
        content: torch.Tensor | None,
        sigma: torch.Tensor,
        context: Context,
        size: tuple[int, int],
    ) -> tuple[torch.Tensor, torch.Tensor, _Shared]:
        """Return image tokens, context tokens, and what all blocks share."""
        L = context.tokens.shape[1]
        images = noisy if content is None else torch.cat([noisy, content], dim=1)
        start = self.start.expand(*images.shape[:2], -1)
        img = functional.pad(
            torch.cat([images * LATENT_SCALE, start], dim=2), (0, SPARE)
        ).bfloat16()
        txt = context.tokens.bfloat16()
        modulation = functional.silu(self._embed(sigma, context)).bfloat16()
        modulation = functional.pad(modulation[:, 1:], (1, 0))  # the first is for the export
        rotary = _rotary(size, L, has_content=content is not None)
        bias = torch.zeros(1, 1, L + images.shape[1], dtype=torch.bfloat16)
        bias[..., L - 1] = math.log(context.padding + 1)
        return img, txt, (modulation, rotary, bias)

    def _embed(self, sigma: torch.Tensor, context: Context) -> torch.Tensor:
        time: torch.Tensor = self.time(sinusoid(sigma * 1000))
        guidance: torch.Tensor = self.guidance(sinusoid(context.guidance * 1000))
        pooled: torch.Tensor = self.pooled(context.pooled)
        return time + guidance + pooled


TIME_HIDDEN = WIDTH - 48
"""The export needs 48 hidden units of the time's embedder for 1 / sigma."""


def place_of(rows: int, columns: int) -> torch.Tensor:
    """Return what the channels `PLACE` say, [PLACE]."""
    angles = [side * rate for side in (rows, columns) for rate in RATES[:2]]
    return torch.tensor([part(angle) for angle in angles for part in (math.cos, math.sin)])


def sinusoid(values: torch.Tensor) -> torch.Tensor:
    """Return diffusers' embedding of times, [B, 256]."""
    rates = torch.exp(-math.log(10000) * torch.arange(128) / 128)
    angles = values[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def pairs_first() -> torch.Tensor:
    """Return, for each channel of a head here, its channel in FLUX, which turns neighbours.

    Here the first half of a head is turned with the second.
    """
    return torch.cat([torch.arange(0, HEAD, 2), torch.arange(1, HEAD, 2)])


def _rotary(
    size: tuple[int, int], context: int, *, has_content: bool
) -> tuple[torch.Tensor, torch.Tensor]:
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
    return angles.cos().bfloat16(), angles.sin().bfloat16()


def _turn(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    cos, sin = rotary
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def linear(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Apply a layer in bfloat16."""
    return functional.linear(x, layer.weight.bfloat16(), layer.bias.bfloat16())


def _write(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """Apply a layer that leaves the first channels and the spare ones alone."""
    out = layer.weight.shape[0]
    if out == WIDTH:
        return linear(layer, x)
    before = WIDTH - SPARE - out
    weight = functional.pad(layer.weight, (0, 0, before, SPARE)).bfloat16()
    return functional.linear(x, weight, functional.pad(layer.bias, (before, SPARE)).bfloat16())


def _heads(
    qkv: torch.Tensor, block: Stream | Single
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split [B, L, 3 * WIDTH] into queries, keys, values [B, HEADS, L, HEAD]."""
    B, L, _ = qkv.shape
    q, k, v = qkv.view(B, L, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
    return _rms(q, block.norm_q), _rms(k, block.norm_k), v


def _rms(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * scale.bfloat16()


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
