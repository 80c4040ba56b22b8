"""The training program, from nothing to a model that the pipeline loads, at a tiny scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from examples.train_demo.contents import LICENCES
from examples.train_demo.measure import to_image, to_tensor
from examples.train_demo.run import STAGES, Run, Scale
from uso_core import StylizeRequest, USOPipeline
from uso_core.model.geometry import pack

SCALE = Scale(pictures=40, styles=50, basis=20, pairs=2)
MINUTES = {"decoder": 1.0, "style-encoder": 1.0, "places": 0.5, "stylist": 0.4, "export": 0.0}
"""What each stage gets is its share of these, some seconds."""

# One module-wide training of a minute, then quick looks at it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, dict[str, list[float]]]:
    run = Run(folder, SCALE)
    return {stage: run.stage(stage, MINUTES[stage]) for stage in STAGES}


@pytest.mark.parametrize("stage", ["decoder", "style-encoder", "stylist"])
def test_a_stage_learns(trained: dict[str, dict[str, list[float]]], stage: str) -> None:
    losses = trained[stage]["loss"]
    assert losses[-1] < losses[0]


@pytest.fixture(scope="module")
def resumed(folder: Path, trained: dict[str, dict[str, list[float]]]) -> Run:
    run = Run(folder, SCALE)
    for stage in STAGES[:-1]:
        assert run.stage(stage, MINUTES[stage]) == trained[stage]  # there is nothing left to do
    return run


def test_the_pipeline_draws_what_training_draws(folder: Path, resumed: Run) -> None:
    pipeline = USOPipeline.from_original(folder / "demo", dtype=torch.float32, device="cpu")
    assert pipeline.limits.defaults == {"content_long_size": 128, "keep_size": True}
    content, style = (
        to_image(part[1]) for part in (resumed.pairs.content, resumed.pairs.references)
    )
    request = StylizeRequest(
        prompt="a bridge at night",
        content_image=content,
        style_images=[style],
        content_long_size=128,
        num_steps=2,
        guidance=3,
    )
    model, drawn = resumed.model, pipeline.denoise(pipeline.condition(request), seed=5)
    with torch.no_grad():
        styles = [model.style(to_tensor(style)[None])]
        context = model.context([request.prompt], styles, torch.tensor([3.0]))
        latents = pack(resumed.basis.encode(to_tensor(content)[None]))
    ours = model.draw(context, latents, (8, 8), steps=2, seed=5)
    # One computes in bfloat16, the other in float32 from files of fp16.
    assert (drawn.tokens - ours).pow(2).mean().sqrt() < 0.03 * ours.std()


def test_an_exported_model_has_a_card(folder: Path, resumed: Run) -> None:
    text = (folder / "demo" / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in text
    assert all(f"`{name}`" in text for name in LICENCES)


def test_a_run_continues_an_exported_model(folder: Path, resumed: Run, tmp_path: Path) -> None:
    again = Run(tmp_path, SCALE, start_from=folder / "demo")
    for name, parameter in again.model.transformer.state_dict().items():
        expected = resumed.model.transformer.state_dict()[name]
        if not name.endswith(("mod.weight", "2.weight", "2.bias")):  # a channel is the export's
            torch.testing.assert_close(parameter, expected, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(again.basis.matrix, resumed.basis.matrix, atol=2e-2, rtol=2e-2)
    losses = again.stage("stylist", 0.03)
    assert losses["loss"]
