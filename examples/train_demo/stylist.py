"""Trains the model: batches of every kind of request, and their losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from examples.train_demo.codec import Basis, with_carrier
from examples.train_demo.data import Pool, StylePool
from examples.train_demo.dimensions import LATENT, WIDTH, autocast, place_of
from examples.train_demo.model import DemoModel, shifted
from examples.train_demo.prompts import all_prompts, prompt_of
from examples.train_demo.start_heads import seek_context
from examples.train_demo.styles import Styles, render
from examples.train_demo.training import History, Plan, run_stage
from examples.train_demo.transformer import Context, Transformer
from uso_core.model.geometry import pack

_KINDS = {"style": 0.72, "two styles": 0.06, "text": 0.12, "text and style": 0.06, "content": 0.04}
_GRIDS = (
    [(4, 4)] * 24
    + [(8, 8)] * 10
    + [(6, 6), (8, 6), (6, 8), (8, 5), (5, 8)] * 2
    + [(8, 7), (7, 8), (6, 4), (4, 6), (12, 12), (12, 8), (8, 12), (9, 6), (6, 9), (10, 10)]
)
"""Rows and columns of 16 px: 128 px, and 96 to 192 px in several proportions. Half of the batches
are cuts of 64 px: they show more styles in the same time."""
_TOKENS = 2600
"""Tokens of a batch, about: of the output, the content and the style."""
DEFAULT_GUIDANCE = 4.0
_OWN = 0.4
"""Share of batches with a content that start from what the model drew itself, so that a step learns
to mend the one before it."""
_SWELL = 1e-4
RATE, CONTINUED_RATE = 1.3e-3, 5e-4
"""Learning rates of a run from nothing, and of one that continues an exported model."""
_NAMING = 0.1
"""Weight of the loss that keeps the parts of a style readable from its tokens."""
_LAST_SPECIAL = 2  # padding, end, unknown


@dataclass(frozen=True)
class Batch:
    """Inputs and the finished picture.

    Attributes:
        size: rows and columns of tokens.
        prompts: one for each picture.
        references: one batch, [B / 2, 3, 128, 128], for each style; may be empty.
        styles: those of the references.
        weights: one for each style, [styles, B].
        content: pictures [B, 3, H, W], or None.
        guidance: [B].
        target: pictures [B, 3, H, W].
    """

    size: tuple[int, int]
    prompts: list[str]
    references: list[torch.Tensor]
    styles: list[Styles]
    weights: torch.Tensor
    content: torch.Tensor | None
    guidance: torch.Tensor
    target: torch.Tensor


class Batches:
    """Makes batches of one kind of request and one size each."""

    def __init__(self, pool: Pool, styles: StylePool) -> None:
        self._pool, self._styles = pool, styles

    def draw(self, generator: torch.Generator) -> Batch:
        """Draw a batch of a random kind and size."""
        chosen = torch.multinomial(torch.tensor(list(_KINDS.values())), 1, generator=generator)
        kind = list(_KINDS)[int(chosen)]
        size = _GRIDS[int(torch.randint(len(_GRIDS), (1,), generator=generator))]
        if kind.startswith("text") and size == (4, 4):
            size = (8, 8)  # a scene is drawn as a whole
        count = max(4, _TOKENS // (2 * size[0] * size[1] + 28) // 2 * 2)
        return self.of_kind(kind, size, count, generator)

    def of_kind(
        self, kind: str, size: tuple[int, int], count: int, generator: torch.Generator
    ) -> Batch:
        """Draw a batch of `count`, an even number of pictures."""
        height, width = size[0] * 16, size[1] * 16
        scene = kind.startswith("text")
        pictures, index = self._pool.sample(count, height, width, generator, whole=scene)
        captions = [self._pool.captions[each] for each in index.tolist()]
        prompts = self._prompts(captions, generator, needed=scene)
        number = {"style": 1, "two styles": 2, "text and style": 1}.get(kind, 0)
        guidance = _often(DEFAULT_GUIDANCE, 1.0, 5.0, 0.75, count, generator)
        weights = torch.stack([_often(1.0, 0.0, 2.0, 0.8, count, generator) for _ in range(2)])
        references, named, styled = [], [], []
        for _ in range(number):
            styles, shown = self._styles.sample(count // 2, generator)
            twice = torch.arange(count) // 2  # each style is encoded once for two contents
            references.append(shown)
            named.append(styles)
            styled.append(render(pictures, styles[twice]))
        target = blend(pictures, styled, weights[:number])
        return Batch(
            size=size,
            prompts=prompts,
            references=references,
            styles=named,
            weights=weights[:number],
            content=None if scene else pictures,
            guidance=guidance,
            target=with_guidance(target, guidance),
        )

    def _prompts(
        self, captions: list[str], generator: torch.Generator, *, needed: bool
    ) -> list[str]:
        """Return prompts; with a content they are often empty, and may name something else."""
        if not needed and torch.rand(1, generator=generator) < 0.6:
            return [""] * len(captions)
        others = [caption for caption in self._pool.captions[:200] if caption]
        chosen = []
        for caption in captions:
            other = others[int(torch.randint(len(others), (1,), generator=generator))]
            chosen.append(prompt_of(caption or other, generator))
        return chosen


def blend(
    pictures: torch.Tensor, styled: list[torch.Tensor], weights: torch.Tensor
) -> torch.Tensor:
    """Return what styles of these weights, [styles, B], make of pictures.

    A style of weight 0 leaves the picture, of 1 styles it, of 2 exaggerates. Two styles are mixed
    in proportion to their weights.
    """
    if not styled:
        return pictures
    shares = weights[:, :, None, None, None]
    total = shares.sum(0)
    mixed = sum(share * each for share, each in zip(shares, styled, strict=True))
    mixed = torch.where(total > 0.01, mixed / total.clamp(min=0.01), pictures)
    strength = torch.where(total < 1, total, 1 + (total.clamp(max=2) - 1) * 0.3)
    if len(styled) > 1:
        strength = total.clamp(max=1)
    return (pictures + strength * (mixed - pictures)).clamp(0, 1)


def with_guidance(pictures: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """Return pictures with the contrast of a guidance scale: 0.55 at 1, 1 at 4, 1.15 at 5."""
    contrast = (0.4 + 0.15 * guidance)[:, None, None, None]
    return (0.5 + contrast * (pictures - 0.5)).clamp(0, 1)


def train_places(transformer: Transformer, folder: Path, minutes: float) -> History:
    """Teach the double blocks the size of the output, from the positions of random tokens."""

    def loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        rows, columns = torch.randint(4, 13, (2,), generator=generator).tolist()
        count = 960 // (rows * columns)
        noisy, content = torch.randn(2, count, rows * columns, LATENT, generator=generator)
        content = content * torch.rand(count, 1, 1, generator=generator) * 2
        length = int(torch.randint(2, 60, (1,), generator=generator))
        context = Context(
            tokens=torch.randn(count, length, WIDTH, generator=generator),
            padding=512 - int(torch.randint(2, 16, (1,), generator=generator)),
            pooled=torch.randn(count, 32, generator=generator),
            guidance=torch.full((count,), DEFAULT_GUIDANCE),
        )
        sigma = torch.rand(count, generator=generator)
        notes = transformer.places(noisy, content, sigma, context, (rows, columns))
        off = (notes.place - place_of(rows, columns)).pow(2).mean()
        return {"loss": off + _SWELL * notes.swell, "place": off}

    return run_stage(Plan("places", minutes, 2e-3), transformer, loss, folder)


def point_heads(model: DemoModel, basis: Basis, batches: Batches) -> None:
    """Point heads of a model that is to be trained from nothing at styles and words."""
    generator = torch.Generator().manual_seed(5)
    batch = replace(batches.of_kind("style", (8, 8), 48, generator), prompts=all_prompts()[:48])
    assert batch.content is not None
    content = pack(basis.encode(batch.content))
    words = model.tokenizers.t5(batch.prompts) > _LAST_SPECIAL
    with torch.no_grad():
        context = conditions(model, batch, encoded(model, batch, learn_styles=False))
    noisy = torch.randn(content.shape, generator=generator)
    styles = context.tokens.shape[1] - words.shape[1]
    seek_context(model.transformer, noisy, content, context, styles, words)


def train_model(
    model: DemoModel,
    basis: Basis,
    batches: Batches,
    folder: Path,
    plan: Plan,
    show: Callable[[nn.Module], None],
) -> History:
    """Train `model` in place."""
    weights = (0.25 + 0.75 * basis.weights).repeat_interleave(4)

    def loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        batch = batches.draw(generator)
        learn_styles = bool(torch.rand(1, generator=generator) < 0.4)
        tokens = encoded(model, batch, learn_styles=learn_styles)
        context = conditions(model, batch, tokens)
        target = pack(with_carrier(basis.encode(batch.target)))
        content = None if batch.content is None else pack(basis.encode(batch.content))
        sigma = _sigmas(len(target), batch.size, generator)
        noise = torch.randn(target.shape, generator=generator)
        mix = sigma[:, None, None]
        begun = target
        if content is not None and torch.rand(1, generator=generator) < _OWN:
            with torch.no_grad():
                first = torch.ones_like(sigma)
                begun, _ = model.transformer(noise, content, first, context, batch.size)
        noisy = (1 - mix) * begun + mix * noise
        finished, notes = model.transformer(noisy, content, sigma, context, batch.size)
        error = (weights * (finished - target).pow(2)).mean()
        losses = {"loss": error + _SWELL * notes.swell, "swell": notes.swell}
        if content is not None:
            off = (notes.place - place_of(*batch.size)).pow(2).mean()
            losses["loss"] = losses["loss"] + 0.3 * off
            losses["place"] = off.detach()
        losses["finished"] = error.detach()
        if learn_styles and tokens:
            named = model.style.naming_loss(tokens[0], batch.styles[0])
            losses["loss"] = losses["loss"] + _NAMING * named["loss"]
            losses["palette"] = named["palette"].detach()
        return losses

    return run_stage(plan, model, loss, folder, show=show)


def encoded(model: DemoModel, batch: Batch, *, learn_styles: bool) -> list[torch.Tensor]:
    """Return the tokens of a batch's references, with gradients if the encoder is to learn."""
    with torch.set_grad_enabled(learn_styles), autocast():
        return [model.style(shown).float() for shown in batch.references]


def conditions(model: DemoModel, batch: Batch, tokens: list[torch.Tensor]) -> Context:
    """Return the context of a batch, in which each reference serves two neighbours."""
    repeat = torch.arange(len(batch.guidance)) // 2
    styles = [
        each[repeat] * weight[:, None, None]
        for each, weight in zip(tokens, batch.weights, strict=True)
    ]
    return model.context(batch.prompts, styles, batch.guidance)


def _often(
    usual: float, low: float, high: float, share: float, count: int, generator: torch.Generator
) -> torch.Tensor:
    """Return `usual` in `share` of places, else numbers from `low` to `high`, [count]."""
    numbers = low + (high - low) * torch.rand(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < share, usual, numbers)


def _sigmas(count: int, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Return noise levels, many of them 1: nearly all is decided at the first step."""
    return shifted(_often(1.0, 0.02, 1.0, 0.6, count, generator), size)
