from __future__ import annotations

from pathlib import Path

import pytest

from uso_core.errors import CheckpointError
from uso_core.loading.dimensions import Dimensions, dimensions_of
from uso_core.loading.source import ModelSource
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.pipeline import USOPipeline


def test_the_arithmetic_of_flux_dev() -> None:
    flux = Dimensions()
    linear = flux.step_flops(1) - 4 * flux.hidden * flux.blocks
    assert linear == pytest.approx(12.91e9, rel=1e-3)
    assert flux.step_flops(2) - 2 * linear == pytest.approx(4 * 0.70e6, rel=1e-3)
    # 512 text tokens, one style, output of 1024x1024, content of 512x512.
    tokens = 512 + 192 + 4096 + 1024
    assert flux.step_flops(tokens) == pytest.approx(98.95e12, rel=1e-3)
    assert 25 * flux.step_flops(tokens) == pytest.approx(2474e12, rel=1e-3)


def test_the_tiny_models_dimensions_are_those_that_it_has(tmp_path: Path) -> None:
    found = dimensions_of(ModelSource(base="tiny"))
    pipeline = USOPipeline.tiny(seed=0)
    transformer = pipeline.components.transformer
    blocks = len(transformer.transformer_blocks) + len(transformer.single_transformer_blocks)
    assert found.hidden == transformer.inner_dim
    assert found.blocks == blocks
    assert found.style_tokens == 3 * pipeline.components.style_projector.config.style_token_nums
    write_tiny_checkpoint(tmp_path / "model")
    assert dimensions_of(ModelSource(base=str(tmp_path / "model"))) == found


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none"):
        dimensions_of(ModelSource(base=f"{tmp_path}/none"))
