from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.uso_core.fake_gpu import GPU, fake_gpu
from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.test_pipeline import generate, make_request
from uso_core.errors import UnsupportedPresetError
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.presets import EXACT, PRESETS, Preset
from uso_core.runtime.devices import check_preset
from uso_core.runtime.float8 import is_float8_linear

CPU = torch.device("cpu")
ALWAYS = 1.0  # no step differs this much: all but the first reuse its blocks


def load(preset: Preset) -> USOPipeline:
    pipeline = USOPipeline.load(
        ModelSource(str(CHECKPOINT)), dtype=torch.float32, device=CPU, preset=preset
    )
    components = replace(pipeline.components, limits=LIMITS)
    return USOPipeline(components, preset=pipeline.preset, cache_bytes=0)


def block_calls(pipeline: USOPipeline, work: Callable[[], object]) -> int:
    """Count the calls of a middle block's attention during a generation."""
    calls = []
    attention = pipeline.components.transformer.single_transformer_blocks[0].attn
    handle = attention.register_forward_hook(lambda *_: calls.append(1))
    work()
    handle.remove()
    return len(calls)


@pytest.fixture(scope="module")
def exact(golden_pipeline: USOPipeline) -> list[str]:
    return generate(golden_pipeline, [make_request(i) for i in range(4)])


def test_presets_that_only_place_weights_change_no_bit(exact: list[str]) -> None:
    placing = [preset for preset in PRESETS.values() if not preset.changes_pictures]
    assert [preset.name for preset in placing] == ["exact", "tiny_vram"]
    assert generate(load(PRESETS["tiny_vram"]), [make_request(i) for i in range(4)]) == exact


def test_weights_stored_in_float8_give_other_images_the_same_in_any_order(
    exact: list[str],
) -> None:
    pipeline = load(PRESETS["low_vram"])
    requests = [make_request(i) for i in range(4)]
    generated = generate(pipeline, requests)
    assert set(generated).isdisjoint(exact)
    assert generate(pipeline, requests[::-1])[::-1] == generated


def test_only_the_blocks_large_layers_become_float8() -> None:
    transformer = load(PRESETS["low_vram"]).components.transformer
    eighths = {
        name for name, tensor in transformer.state_dict().items() if tensor.dtype.itemsize == 1
    }
    layers = {name.rpartition(".")[0] for name in eighths}
    assert layers == {n for n, m in transformer.named_modules() if is_float8_linear(m, n)}
    double, single = transformer.config.num_layers, transformer.config.num_single_layers
    assert len(layers) == double * 12 + single * 5
    assert not any("norm" in name for name in layers)


@pytest.fixture(scope="module")
def cached() -> USOPipeline:
    return load(replace(PRESETS["draft"], cache_threshold=ALWAYS))


def test_the_step_cache_leaves_blocks_out(cached: USOPipeline, exact: list[str]) -> None:
    request = replace(make_request(1), num_steps=6)
    assert block_calls(cached, lambda: cached([request])) == 1
    never = load(replace(PRESETS["draft"], cache_threshold=1e-9))
    assert block_calls(never, lambda: never([request])) == 6
    assert generate(never, [make_request(1)]) == [exact[1]]


def test_nothing_in_the_step_cache_goes_from_image_to_image(cached: USOPipeline) -> None:
    requests = [replace(make_request(i), num_steps=3) for i in range(4)]
    alone = [generate(load(cached.preset), [request])[0] for request in requests[:2]]
    generated = generate(cached, requests)
    assert generated[:2] == alone
    assert generate(cached, requests[::-1])[::-1] == generated


def test_an_image_that_failed_leaves_the_step_cache_as_new(cached: USOPipeline) -> None:
    want = generate(cached, [make_request(1)])

    def fail(done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cached([make_request(2)], on_step=fail)
    assert generate(cached, [make_request(1)]) == want


def test_a_draft_has_few_steps(cached: USOPipeline) -> None:
    seen: list[tuple[int, int]] = []
    cached([replace(make_request(0), num_steps=50)], on_step=lambda *step: seen.append(step))
    assert seen[-1] == (12, 12)
    assert PRESETS["draft"].steps(4) == 4


def test_the_compiled_blocks_are_inside_the_step_cache() -> None:
    pipeline = load(replace(PRESETS["draft"], cache_threshold=ALWAYS))
    want = generate(pipeline, [make_request(1)])
    pipeline.compile()
    with torch.compiler.set_stance("force_eager"):  # compiling takes a minute
        assert generate(pipeline, [make_request(1)]) == want
        assert block_calls(pipeline, lambda: pipeline([make_request(1)])) == 1


@pytest.mark.parametrize("name", ["fp8", "fp8+cache"])
def test_float8_arithmetic_is_refused_without_a_gpu(name: str) -> None:
    with pytest.raises(UnsupportedPresetError, match=r"needs an NVIDIA GPU, not cpu; use exact"):
        load(PRESETS[name])  # type: ignore[index]  # the parameter can be any string


def test_float8_arithmetic_is_refused_in_another_dtype_than_bfloat16() -> None:
    with fake_gpu(), pytest.raises(UnsupportedPresetError, match=r"dtype bfloat16, not torch\.fl"):
        check_preset(PRESETS["fp8"], GPU, torch.float32)


@pytest.mark.parametrize("preset", [p for p in PRESETS.values() if p.linears != "float8"])
def test_other_presets_run_anywhere(preset: Preset) -> None:
    check_preset(preset, CPU, torch.float32)


def test_a_threshold_is_for_presets_with_a_cache() -> None:
    assert PRESETS["draft"].with_threshold(0.2).cache_threshold == 0.2
    with pytest.raises(ValueError, match="exact has no cache"):
        EXACT.with_threshold(0.2)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_a_pipeline_says_what_its_preset_allows(preset: Preset) -> None:
    pipeline = USOPipeline(load(EXACT).components, preset=preset)
    assert pipeline.can_batch == (preset.name not in ("fp8+cache", "draft"))
    assert pipeline.can_decode_beside == (preset.name not in ("low_vram", "tiny_vram"))
