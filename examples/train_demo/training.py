"""The loop that all stages share: a budget of CPU time, a falling rate, an average, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

_COME_APART = 2.0
EVERY_S = 60.0
"""CPU seconds between checkpoints, each with a line of progress."""


@dataclass(frozen=True)
class Plan:
    """The settings of a stage.

    Attributes:
        name: name of its checkpoint.
        minutes: CPU minutes in all, those before a restart included.
        rate: highest learning rate.
        decay: share of the budget, at its end, over which the rate falls to 0.
        average: decay of the moving average of the weights, per step.
    """

    name: str
    minutes: float
    rate: float
    decay: float = 0.4
    average: float = 0.996


History = dict[str, list[float]]
"""The mean of each loss between two checkpoints, in order."""
Loss = Callable[[torch.Generator], dict[str, torch.Tensor]]
"""Makes a batch and returns its losses; those of the key "loss" are minimised."""


def run_stage(
    plan: Plan,
    module: nn.Module,
    loss: Loss,
    folder: Path,
    *,
    show: Callable[[nn.Module], None] | None = None,
) -> History:
    """Train `module` until the budget is used, then give it the averaged weights.

    Args:
        plan: the settings.
        module: is trained in place; parameters that need no gradient stay.
        loss: called at each step.
        folder: holds the stage's checkpoint, from which an interrupted stage resumes.
        show: called with the module, holding its averaged weights, at each checkpoint.

    Returns:
        The mean of each loss between two checkpoints, in order.
    """
    state = _State(plan, module, folder / f"{plan.name}.pt")
    state.load()
    budget, start = plan.minutes * 60, time.process_time() - state.spent
    every = min(EVERY_S, budget / 4)
    saved = state.spent
    values_since: dict[str, list[float]] = {}
    while state.spent < budget:
        values = loss(state.generator)
        state.apply(values["loss"], _rate(plan, state.spent / budget))
        state.spent = time.process_time() - start
        for key, value in values.items():
            values_since.setdefault(key, []).append(float(value.detach()))
        if state.spent - saved >= every or state.spent >= budget:
            means = {key: fmean(each) for key, each in values_since.items()}
            saved, values_since = state.spent, {}
            if state.is_worse(means["loss"]):
                state.go_back()
                continue
            state.record(means)
            state.save()
            if show is not None:
                with state.averaged():
                    show(module)
    state.swap()
    return state.history


def _rate(plan: Plan, done: float) -> float:
    warm = min(1.0, done / 0.01)
    return plan.rate * warm * min(1.0, max(0.0, (1 - done) / plan.decay))


class _State:
    """The content of a checkpoint: weights, their average, optimizer, generator, time."""

    def __init__(self, plan: Plan, module: nn.Module, path: Path) -> None:
        self.plan, self.module, self.path = plan, module, path
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, plan.rate, betas=(0.9, 0.96), weight_decay=0.01, foreach=True
        )
        self.average = [p.detach().clone() for p in self.parameters]
        self.generator = torch.Generator().manual_seed(11)
        self.spent, self.steps = 0.0, 0
        self.gentle = 1.0
        self.history: History = {}

    def apply(self, loss: torch.Tensor, rate: float) -> None:
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        if torch.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = rate * self.gentle
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        decay = min(self.plan.average, 1 - 1 / (1 + self.steps / 4))
        current = [p.detach() for p in self.parameters]
        torch._foreach_lerp_(self.average, current, 1 - decay)

    def is_worse(self, loss: float) -> bool:
        """Tell whether training has come apart since the last checkpoint."""
        earlier = self.history.get("loss", [])
        return bool(earlier) and not loss < _COME_APART * earlier[-1]

    def go_back(self) -> None:
        """Return to the last checkpoint, and take other batches and smaller steps from there."""
        spent = self.spent
        self.load()
        self.spent = spent
        self.gentle *= 0.7
        self.generator.manual_seed(self.steps)
        print(f"{self.plan.name}: the loss has doubled; back to step {self.steps:,}", flush=True)  # noqa: T201

    def record(self, means: dict[str, float]) -> None:
        for key, value in means.items():
            self.history.setdefault(key, []).append(value)
        shown = "  ".join(f"{key} {value:.4f}" for key, value in means.items())
        minutes = f"{self.spent / 60:.1f} of {self.plan.minutes:g} min"
        print(f"{self.plan.name}: {minutes}, step {self.steps:,}: {shown}", flush=True)  # noqa: T201

    def averaged(self) -> _Swapped:
        return _Swapped(self)

    def swap(self) -> None:
        for parameter, average in zip(self.parameters, self.average, strict=True):
            current = parameter.detach().clone()
            parameter.data.copy_(average)
            average.copy_(current)

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        torch.save(self._values(), fresh)
        fresh.replace(self.path)  # a kill leaves the earlier checkpoint or the new one

    def load(self) -> None:
        if not self.path.exists():
            return
        values = torch.load(self.path, weights_only=True)
        for parameter, stored in zip(self.parameters, values["parameters"], strict=True):
            parameter.data.copy_(stored)
        self.average = values["average"]
        self.optimizer.load_state_dict(values["optimizer"])
        self.generator.set_state(values["generator"])
        self.spent, self.steps, self.history = values["spent"], values["steps"], values["history"]

    def _values(self) -> dict[str, Any]:
        return {
            "parameters": [p.detach() for p in self.parameters],
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "spent": self.spent,
            "steps": self.steps,
            "history": self.history,
        }


class _Swapped:
    """Gives the module its averaged weights for a while."""

    def __init__(self, state: _State) -> None:
        self.state = state

    def __enter__(self) -> None:
        self.state.swap()

    def __exit__(self, *exc: object) -> None:
        self.state.swap()


def spent_minutes(folder: Path, stage: str) -> float:
    """Return the CPU minutes that a stage has used."""
    path = folder / f"{stage}.pt"
    spent = torch.load(path, weights_only=True)["spent"] if path.exists() else 0.0
    return float(spent) / 60


def decibels(error: float) -> float:
    """Return the PSNR of a mean squared error of pixels from 0 to 1."""
    return -10 * math.log10(error)
