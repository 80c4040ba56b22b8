from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.config.model import ModelConfig
from pipelines.config.schema import RunConfig
from tests.pipelines.config.yaml_files import MINIMAL, problems
from uso_core.presets import PRESETS


def test_a_preset_takes_its_options() -> None:
    config = ModelConfig(preset="fp8+cache", cache_threshold=0.2)
    assert config.chosen_preset == replace(PRESETS["fp8+cache"], cache_threshold=0.2)
    assert ModelConfig(preset="draft").chosen_preset == PRESETS["draft"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("cache_threshold: 0.1", "exact has no cache"),
        ("preset: fp8, device: cpu", "fp8 needs a GPU; device is cpu"),
        ("preset: tiny_vram, device: cpu", "tiny_vram needs a GPU"),
        ("preset: low_vram, compile: true", "low_vram cannot be compiled"),
        ("preset: fp8+cash", "fp8+cache"),
    ],
)
def test_options_that_conflict(file: Path, options: str, reason: str) -> None:
    assert reason in problems(file, f"{MINIMAL}model: {{{options}}}\n")[0]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_batches_need_a_preset_that_allows_them(preset: str, file: Path) -> None:
    overrides = ["stylize.batch_images=4", f"model.preset={preset}"]
    if preset in {"fp8", "low_vram"}:
        assert RunConfig.from_yaml(file, overrides).stylize.batch_images == 4
    else:
        (message,) = problems(file, MINIMAL, *overrides)
        assert message.startswith("stylize.batch_images is 4")
        assert "fp8 or low_vram" in message


def test_a_preset_for_gpus_needs_actors_with_gpus(file: Path) -> None:
    text = f"{MINIMAL}model: {{preset: tiny_vram}}\nstylize: {{gpus_per_actor: 0}}\n"
    (message,) = problems(file, text)
    assert message == "model.preset tiny_vram needs a GPU, and stylize.gpus_per_actor is 0"
