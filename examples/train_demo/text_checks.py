"""Shows that words decide: draws every scene at every time from text, and names the results."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from examples.train_demo.measure import to_tensor
from examples.train_demo.prompts import first_prompt
from examples.train_demo.scenes import KINDS, TIMES, draw_scene
from uso_core import USOPipeline

_SAMPLES = 8
_STEPS = 4


def draw(pipeline: USOPipeline, seed: int = 0) -> torch.Tensor:
    """Draw pictures from text alone, [len(KINDS), len(TIMES), 3, 128, 128], 0 to 1."""
    rows = [
        torch.stack(
            [
                to_tensor(pipeline(first_prompt(kind, time), num_steps=_STEPS, seed=seed)[0].image)
                for time in TIMES
            ]
        )
        for kind in KINDS
    ]
    return torch.stack(rows)


def named(scenes: torch.Tensor) -> list[list[tuple[str, str]]]:
    """Return the kind and the time that each picture of `draw` is nearest to.

    A picture is compared, at 16 x 16 pixels, with means of scenes that training has not seen.
    """
    rng = np.random.default_rng(1)
    means = {
        (kind, time): torch.stack(
            [_small(to_tensor(draw_scene(kind, time, 128, rng))) for _ in range(_SAMPLES)]
        ).mean(0)
        for kind in KINDS
        for time in TIMES
    }

    def nearest(picture: torch.Tensor) -> tuple[str, str]:
        small = _small(picture)
        return min(means, key=lambda key: float((means[key] - small).pow(2).mean()))

    return [[nearest(picture) for picture in row] for row in scenes]


def table(scenes: torch.Tensor) -> str:
    """Return how many pictures of `draw` are named right, as text."""
    found = named(scenes)
    pairs = [
        (kind, time, *found[row][column])
        for row, kind in enumerate(KINDS)
        for column, time in enumerate(TIMES)
    ]
    kinds = sum(kind == guess for kind, _, guess, _ in pairs)
    times = sum(time == guess for _, time, _, guess in pairs)
    return f"Text alone, named by the nearest mean: kind {kinds}, time {times} of {len(pairs)}."


def _small(picture: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(picture[None], 8)[0]
