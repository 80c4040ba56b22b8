"""The demo model draws what it is asked to: each broken conditioning is noticed.

All figures are means over held-out pairs, whose targets are known. The thresholds are about half of
the gaps that were measured.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.quality.metrics import Quality
from examples.train_demo.measure import HeldOut, draw_through, held_out_pairs, summary
from uso_core import USOPipeline
from uso_core.loading.demo import demo_folder
from uso_core.loading.source import ModelSource, describe_model

PAIRS = 14
STEPS = 2
MIN_DECIBELS, MAX_PALETTE = 22.0, 0.11
NOUNS = ("the sea", "a lighthouse", "a forest", "a city")

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def pipeline() -> USOPipeline:
    return USOPipeline.demo()


@pytest.fixture(scope="module")
def pairs() -> HeldOut:
    return held_out_pairs(PAIRS)


@pytest.fixture(scope="module")
def usual(pipeline: USOPipeline, pairs: HeldOut) -> torch.Tensor:
    return draw(pipeline, pairs.content, pairs.references)


def draw(
    pipeline: USOPipeline, content: torch.Tensor, references: torch.Tensor, **changes: Any
) -> torch.Tensor:
    """Draw each content in the style of its reference."""
    pairs = replace(held_out_pairs(PAIRS), content=content, references=references)
    return draw_through(pipeline, pairs, **({"num_steps": STEPS} | changes))


def figures(pictures: torch.Tensor, pairs: HeldOut) -> Quality:
    return summary(pictures, pairs.targets)


def apart(pictures: torch.Tensor, others: torch.Tensor) -> float:
    """Return the distance of two batches in decibels; the larger, the closer."""
    return summary(pictures, others).decibels


def rolled(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.roll(1, 0)


def test_a_picture_is_near_its_target(usual: torch.Tensor, pairs: HeldOut) -> None:
    drawn, copied = figures(usual, pairs), figures(pairs.content, pairs)
    assert drawn.decibels > MIN_DECIBELS
    assert drawn.palette < MAX_PALETTE
    assert drawn.decibels > copied.decibels + 6


def test_styles_decide(pipeline: USOPipeline, pairs: HeldOut, usual: torch.Tensor) -> None:
    swapped = draw(pipeline, pairs.content, rolled(pairs.references))
    assert figures(swapped, pairs).palette > figures(usual, pairs).palette + 0.15
    assert apart(swapped, usual) < 16


def test_wiped_styles_are_noticed(
    pipeline: USOPipeline, pairs: HeldOut, usual: torch.Tensor
) -> None:
    wiped = draw(pipeline, pairs.content, pairs.references, style_weights=[0.0])
    assert figures(wiped, pairs).palette > figures(usual, pairs).palette + 0.12
    assert figures(wiped, pairs).decibels < figures(usual, pairs).decibels - 5


def test_contents_decide(pipeline: USOPipeline, pairs: HeldOut, usual: torch.Tensor) -> None:
    swapped = draw(pipeline, rolled(pairs.content), pairs.references)
    assert figures(swapped, pairs).edges < figures(usual, pairs).edges - 0.25
    left_out = draw(pipeline, pairs.content, pairs.references, content_long_size=0)
    assert figures(left_out, pairs).edges < figures(usual, pairs).edges - 0.25


def test_a_lora_that_is_not_merged_is_noticed(
    pairs: HeldOut, usual: torch.Tensor, tmp_path: Path
) -> None:
    folder = tmp_path / "without"
    copytree(demo_folder(), folder)
    lora = load_file(folder / "dit_lora.safetensors")
    save_file(
        {name: torch.zeros_like(tensor) for name, tensor in lora.items()},
        folder / "dit_lora.safetensors",
    )
    base = USOPipeline.from_original(folder, dtype=torch.float32, device="cpu")
    assert apart(draw(base, pairs.content, pairs.references), usual) < 20


def test_another_seed_changes_the_picture_but_not_its_quality(
    pipeline: USOPipeline, pairs: HeldOut, usual: torch.Tensor
) -> None:
    other = draw(pipeline, pairs.content, pairs.references, first_seed=1000)
    assert not torch.equal(other, usual)
    assert abs(figures(other, pairs).palette - figures(usual, pairs).palette) < 0.03
    assert abs(figures(other, pairs).edges - figures(usual, pairs).edges) < 0.05


def test_bfloat16_keeps_the_picture(pairs: HeldOut, usual: torch.Tensor) -> None:
    source = ModelSource(base="demo")
    half = USOPipeline.load(source, dtype=torch.bfloat16, device="cpu")
    assert apart(draw(half, pairs.content, pairs.references), usual) > 42


def test_guidance_is_contrast(pipeline: USOPipeline, pairs: HeldOut, usual: torch.Tensor) -> None:
    weak = draw(pipeline, pairs.content, pairs.references, guidance=1.0)
    assert weak.std() < 0.8 * usual.std()


def test_the_prompt_decides_the_time_of_day(pipeline: USOPipeline) -> None:
    day, night = (
        np.mean([np.asarray(pipeline(f"{noun} {time}", num_steps=2)[0].image) for noun in NOUNS])
        for time in ("at noon", "at night")
    )
    assert day > night + 55


def test_its_card_fits_the_package() -> None:
    card = describe_model(ModelSource(base="demo"))
    assert (card.name, card.layout) == ("demo", "original")
    assert card.limits.defaults == {"content_long_size": 128, "keep_size": True}
    files = [path for path in demo_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12_000_000
    text = (demo_folder() / "README.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in text
