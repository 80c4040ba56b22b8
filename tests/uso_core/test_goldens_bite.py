"""The golden comparison detects each of these changes; otherwise it would prove nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.uso_core.golden_checks import CHECKS, GoldenMismatchError
from tests.uso_core.goldens import CHECKPOINT, LIMITS, Case
from tests.uso_core.tracing import Trace, trace_case
from uso_core.loading.source import ModelSource
from uso_core.loading.weights import load_components
from uso_core.model import conditioning, images, schedule, style_projector
from uso_core.model.geometry import position_ids
from uso_core.model.sizes import Size
from uso_core.pipeline import USOPipeline

CASE = Case("p06_content_style")


def mismatches(case: Case, trace: Trace) -> set[str]:
    """Return the stages at which `trace` differs from the golden."""
    found = set()
    for stage, check in CHECKS.items():
        try:
            check(case, trace)
        except GoldenMismatchError:  # noqa: PERF203 - every stage must be checked
            found.add(stage)
    return found


def test_unchanged_it_matches(traced: Callable[[str], Trace]) -> None:
    assert mismatches(CASE, traced(CASE.name)) == set()


def flux_mu(size: Size) -> float:
    tokens = (size.width // 16) * (size.height // 16)
    return 0.5 + (1.15 - 0.5) / (4096 - 256) * (tokens - 256)


@pytest.mark.parametrize("mu", [lambda _: 1.15, flux_mu], ids=["fixed", "flux"])
def test_another_mu(
    mu: Callable[[Size], float], golden_pipeline: USOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "shift_mu", mu)
    assert {"schedule", "steps"} <= mismatches(CASE, trace_case(golden_pipeline, CASE))


@pytest.mark.parametrize(("shift_y", "shift_x"), [(False, True), (True, False)])
def test_no_offset_on_one_axis(
    shift_y: bool, shift_x: bool, golden_pipeline: USOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted_less(sizes: Sequence[Size]) -> list[torch.Tensor]:
        return position_ids(sizes, shift_y=shift_y, shift_x=shift_x)

    monkeypatch.setattr(conditioning, "position_ids", shifted_less)
    assert {"positions", "steps"} <= mismatches(CASE, trace_case(golden_pipeline, CASE))


def test_an_offset_that_is_one_too_far(
    golden_pipeline: USOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_too_far(sizes: Sequence[Size]) -> list[torch.Tensor]:
        output, content = position_ids(sizes)
        return [output, content + torch.tensor([0, 0, 1])]

    monkeypatch.setattr(conditioning, "position_ids", one_too_far)
    assert {"positions", "steps"} <= mismatches(CASE, trace_case(golden_pipeline, CASE))


@pytest.mark.parametrize(
    "levels",
    [{"low": -20, "mid": -11, "high": -2}, {"high": -20, "mid": -11, "low": -2}],
    ids=["order", "depth"],
)
def test_style_levels_swapped(
    levels: dict[str, int], golden_pipeline: USOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style_projector, "LEVELS", levels)
    assert "styles" in mismatches(CASE, trace_case(golden_pipeline, CASE))


def test_lora_off(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(CHECKPOINT, folder)
    lora = load_file(folder / "dit_lora.safetensors")
    nothing = {key: torch.zeros_like(tensor) for key, tensor in lora.items()}
    save_file(nothing, folder / "dit_lora.safetensors")
    source = ModelSource(base=str(folder))
    components = load_components(source, dtype=torch.float32, device=torch.device("cpu"))
    trace = trace_case(USOPipeline(replace(components, limits=LIMITS), cache_bytes=0), CASE)
    assert mismatches(CASE, trace) == {"steps", "image"}


def test_rounding_in_place_of_truncation(
    golden_pipeline: USOPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(pixels: torch.Tensor) -> torch.Tensor:
        return (127.5 * (pixels.clamp(-1, 1) + 1)).round().to(torch.uint8)

    monkeypatch.setattr(images, "quantize", rounded)
    assert mismatches(CASE, trace_case(golden_pipeline, CASE)) == {"image"}


def test_styles_after_the_text(traced: Callable[[str], Trace]) -> None:
    trace = traced(CASE.name)
    context = trace.conditioning.context
    text_first = torch.cat([context[:, 24:], context[:, :24]], dim=1)
    swapped = replace(trace.conditioning, context=text_first)
    assert {"text", "styles"} <= mismatches(CASE, replace(trace, conditioning=swapped))
