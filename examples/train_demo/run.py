"""The stages of a training run, each of which resumes from its own checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.quality.metrics import Quality
from examples.train_demo.card import CARD, card, minutes_on
from examples.train_demo.codec import Basis, fit_basis, make_vae
from examples.train_demo.data import Pool, StylePool, mixed_pictures
from examples.train_demo.decoder import save_grid, train_decoder
from examples.train_demo.export import export
from examples.train_demo.importing import read_model, read_vae
from examples.train_demo.measure import (
    DRAWN_STEPS,
    HeldOut,
    draw_through,
    held_out_pairs,
    shown,
    summary,
    through_vae,
)
from examples.train_demo.model import DemoModel
from examples.train_demo.prompts import Tokenizers
from examples.train_demo.scenes import KINDS
from examples.train_demo.style_encoder import train_style_encoder
from examples.train_demo.styles import FAMILIES
from examples.train_demo.stylist import (
    CONTINUED_RATE,
    DEFAULT_GUIDANCE,
    RATE,
    Batches,
    point_heads,
    train_model,
    train_places,
)
from examples.train_demo.training import History, Plan, spent_minutes
from uso_core import USOPipeline
from uso_core.model.geometry import pack, unpack
from uso_core.model.sizes import Size

STAGES = ("decoder", "style-encoder", "places", "stylist", "export")
_SHARES = {"decoder": 0.2, "style-encoder": 0.06, "places": 0.04, "stylist": 0.7}
_FROM_SHARES = {"decoder": 0.04, "style-encoder": 0.08, "stylist": 0.88}
"""Shares of the time, of a run from nothing and of one that continues an exported model."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the pools that are drawn before training.

    Attributes:
        pictures: content pictures.
        styles: styles with a reference each.
        basis: pictures that the linear code is fitted to.
        pairs: held-out pairs that are measured.
    """

    pictures: int = 4000
    styles: int = 12000
    basis: int = 360
    pairs: int = 28


class Run:
    """One training run in a folder.

    Args:
        folder: gets the pools, checkpoints and sample grids, and the exported model.
        scale: size of the pools.
        start_from: an exported model to continue.
    """

    def __init__(self, folder: Path, scale: Scale, *, start_from: Path | None = None) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.folder, self._scale, self._start_from = folder, scale, start_from
        self.pool = Pool(folder, scale.pictures, seed=0)
        self.model = DemoModel(Tokenizers(folder / "text", like=start_from))
        if start_from is None:
            self.basis = self._fitted(scale.basis)
            self.vae = make_vae(self.basis)
        else:
            self.vae, self.basis = read_vae(start_from)
            read_model(start_from, self.model)
        self.pairs = held_out_pairs(scale.pairs)

    def stage(self, name: str, minutes: float) -> History:
        """Run a stage of `STAGES`, with its share of `minutes` of CPU time."""
        shares = _SHARES if self._start_from is None else _FROM_SHARES
        budget = minutes * shares.get(name, 0)
        if name == "decoder":
            return train_decoder(self.vae, self.basis, self.pool, self.folder, budget)
        if name == "style-encoder":
            return train_style_encoder(self.model.style, self._styles(), self.folder, budget)
        if name == "places":
            return train_places(self.model.transformer, self.folder, budget)
        if name == "stylist":
            return self._stylist(budget)
        self.export(self.folder / "demo")
        return {}

    def export(self, folder: Path) -> Quality:
        """Write the model, and a card with its measurements; return the model's."""
        export(self.model, self.vae, folder, self.folder / "text")
        pipeline = USOPipeline.from_original(folder, dtype=torch.float32, device="cpu")
        drawn = draw_through(pipeline, self.pairs)
        save_grid(_rows(self.pairs, drawn), self.folder / "export.png")
        bound = through_vae(self.vae, self.basis, self.pairs.targets)
        measured = {
            "model": summary(drawn, self.pairs.targets),
            "bound": summary(bound, self.pairs.targets),
            "copied": summary(self.pairs.content, self.pairs.targets),
        }
        facts = {
            "count": len(drawn),
            "steps": DRAWN_STEPS,
            "families": ", ".join(FAMILIES),
            "kinds": ", ".join(KINDS),
        }
        minutes = {stage: spent_minutes(self.folder, stage) for stage in STAGES[:-1]}
        if self._start_from is not None:
            minutes = {"earlier": minutes_on(self._start_from / CARD)} | minutes
        text = card(measured, minutes, facts=facts)
        (folder / CARD).write_text(text, encoding="utf-8")
        print(f"exported: {shown(measured['model'])}", flush=True)  # noqa: T201
        return measured["model"]

    def _stylist(self, minutes: float) -> History:
        def show(_module: nn.Module) -> None:
            pictures = draw_linear(self.model, self.basis, self.pairs)
            print(f"held out: {shown(summary(pictures, self.pairs.targets))}", flush=True)  # noqa: T201
            save_grid(_rows(self.pairs, pictures), self.folder / "stylist.png")

        batches = Batches(self.pool, self._styles())
        if self._start_from is None:
            point_heads(self.model, self.basis, batches)
        rate = RATE if self._start_from is None else CONTINUED_RATE
        plan = Plan("stylist", minutes, rate, decay=0.9)
        return train_model(self.model, self.basis, batches, self.folder, plan, show)

    def _styles(self) -> StylePool:
        return StylePool(self.folder, self.pool, self._scale.styles, seed=1)

    def _fitted(self, count: int) -> Basis:
        path = self.folder / "basis.pt"
        if not path.exists():
            generator = torch.Generator().manual_seed(5)
            basis = fit_basis(mixed_pictures(self.pool, count, 128, generator))
            torch.save(vars(basis), path)
        return Basis(**torch.load(path, weights_only=True))


def draw_linear(model: DemoModel, basis: Basis, pairs: HeldOut) -> torch.Tensor:
    """Draw held-out pairs with the modules of training, and decode them linearly."""
    count = len(pairs.content)
    with torch.no_grad():
        styles = [model.style(pairs.references)]
        context = model.context([""] * count, styles, torch.full((count,), DEFAULT_GUIDANCE))
        tokens = model.draw(context, pack(basis.encode(pairs.content)), (8, 8), DRAWN_STEPS)
    return basis.decode(unpack(tokens, Size(128, 128))).clamp(0, 1)


def _rows(pairs: HeldOut, drawn: torch.Tensor) -> list[torch.Tensor]:
    return [each[:14] for each in (pairs.content, pairs.references, drawn, pairs.targets)]
