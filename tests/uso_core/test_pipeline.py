from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel
from PIL import Image
from torch.fx.experimental import _config as symbolic_shapes

from tests.uso_core.goldens import CHECKPOINT, LIMITS
from tests.uso_core.synth import synth_image
from tests.uso_core.tracing import record_calls
from uso_core.errors import InvalidRequestError
from uso_core.model.cache import Lookups
from uso_core.model.components import Components
from uso_core.model.hoisting import hoist_embedders
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest


def make_request(index: int) -> StylizeRequest:
    """Return one of four different requests."""
    return StylizeRequest(
        prompt=["a cat", "", "A handsome man.", "a cat"][index],
        content_image=synth_image(100, 80, "RGB", 1) if index in (1, 3) else None,
        style_images=[synth_image(60, 60, "RGBA", seed) for seed in range(2, 2 + index)],
        width=64,
        height=[48, 64, 96, 64][index],
        num_steps=2,
        seed=index,
        content_long_size=64,
    )


def sha256(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def generate(pipeline: USOPipeline, requests: Sequence[StylizeRequest]) -> list[str]:
    return [sha256(generated.image) for generated in pipeline(requests)]


@pytest.fixture(scope="module")
def alone(golden_pipeline: USOPipeline) -> list[str]:
    """Hash the images of the four requests, each generated in its own call without a cache."""
    return [generate(golden_pipeline, [make_request(i)])[0] for i in range(4)]


def test_requests_differ(alone: list[str]) -> None:
    assert len(set(alone)) == 4


def test_a_batch_changes_nothing(alone: list[str], golden_pipeline: USOPipeline) -> None:
    assert generate(golden_pipeline, [make_request(i) for i in (3, 1, 0, 2)]) == [
        alone[i] for i in (3, 1, 0, 2)
    ]


def test_a_cache_changes_nothing(alone: list[str], golden_components: Components) -> None:
    pipeline = USOPipeline(golden_components)
    requests = [make_request(i) for i in range(4)]
    assert generate(pipeline, requests) == alone  # cold, then warmed by earlier requests
    with record_calls(pipeline) as calls:
        assert generate(pipeline, requests) == alone
    assert calls.results["transformer"]
    for encoder in ("t5", "clip", "siglip", "projector", "vae_encoder"):
        assert not calls.results[encoder], f"{encoder} ran again"


def test_a_cache_that_is_too_small_changes_nothing(
    alone: list[str], golden_components: Components
) -> None:
    pipeline = USOPipeline(golden_components, cache_bytes=20_000)
    requests = [make_request(i) for i in (0, 1, 2, 3, 0)]
    assert generate(pipeline, requests) == [*alone, alone[0]]


def test_a_new_process_generates_the_same(alone: list[str]) -> None:
    code = f"""
import torch
torch.set_num_threads(1)
from dataclasses import replace
from tests.uso_core.goldens import LIMITS
from tests.uso_core.test_pipeline import generate, make_request
from uso_core import USOPipeline
pipeline = USOPipeline.from_original({str(CHECKPOINT)!r}, dtype=torch.float32, device="cpu")
pipeline = USOPipeline(replace(pipeline.components, limits=LIMITS))
print(generate(pipeline, [make_request(1)])[0])
"""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == alone[1]


def test_the_ways_to_load_give_the_same_model(alone: list[str]) -> None:
    folder = str(CHECKPOINT)
    for pipeline in (
        USOPipeline.from_original(folder, dtype=torch.float32, device="cpu"),
        USOPipeline.from_pretrained(folder, dtype=torch.float32, device="cpu"),
    ):
        assert (pipeline.dtype, pipeline.device.type) == (torch.float32, "cpu")
        widened = USOPipeline(replace(pipeline.components, limits=LIMITS))
        assert generate(widened, [make_request(0)]) == alone[:1]


def test_tiny_models_are_told_apart_by_their_seed() -> None:
    request = StylizeRequest(prompt="a cat", width=32, height=32, num_steps=1)
    first, again, other = (generate(USOPipeline.tiny(seed), [request]) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_each_image_has_its_own_seed(golden_pipeline: USOPipeline) -> None:
    request = replace(make_request(1), num_images=3)
    generated = golden_pipeline([request])
    assert [image.seed for image in generated] == [1, 2, 3]
    assert (
        sha256(generated[2].image)
        == generate(golden_pipeline, [replace(request, num_images=1, seed=3)])[0]
    )
    assert len({sha256(image.image) for image in generated}) == 3


def test_steps_are_counted_over_all_images(golden_pipeline: USOPipeline) -> None:
    seen: list[tuple[int, int]] = []
    requests = [make_request(0), replace(make_request(1), num_images=2)]
    golden_pipeline(requests, on_step=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_what_repeats_is_encoded_once_and_each_step_runs(golden_pipeline: USOPipeline) -> None:
    request = replace(make_request(3), num_images=2)
    with record_calls(golden_pipeline) as calls:
        golden_pipeline([request])
    counts = {name: len(results) for name, results in calls.results.items()}
    assert counts == {
        "t5": 1,
        "clip": 1,
        "siglip": 3,
        "projector": 3,
        "vae_encoder": 1,
        "time_text_embed": 2,
        "transformer": 4,
        "vae_decoder": 2,
    }


def test_nothing_keeps_a_gradient(golden_pipeline: USOPipeline) -> None:
    assert torch.is_grad_enabled()
    conditioning = golden_pipeline.condition(make_request(3))
    latents = golden_pipeline.denoise(conditioning, 0)
    assert latents.tokens.grad_fn is None
    assert conditioning.context.grad_fn is None
    assert torch.is_grad_enabled()


def test_size_zero_leaves_the_content_image_out(golden_pipeline: USOPipeline) -> None:
    request = replace(make_request(1), content_long_size=0)
    without = replace(request, content_image=None)
    assert generate(golden_pipeline, [request]) == generate(golden_pipeline, [without])


@pytest.mark.parametrize("styles", range(5))
def test_up_to_four_styles(styles: int, golden_pipeline: USOPipeline) -> None:
    style_images = [synth_image(40, 40, "L", seed) for seed in range(styles)]
    conditioning = golden_pipeline.condition(replace(make_request(0), style_images=style_images))
    assert conditioning.context.shape == (1, styles * 24 + 512, 64)


def test_a_weight_of_one_changes_nothing(alone: list[str], golden_pipeline: USOPipeline) -> None:
    request = replace(make_request(3), style_weights=[1, 1.0, 1])
    assert generate(golden_pipeline, [request]) == [alone[3]]


def test_a_weight_multiplies_its_styles_tokens_alone(golden_pipeline: USOPipeline) -> None:
    request = make_request(2)
    plain = golden_pipeline.condition(request)
    weighted = golden_pipeline.condition(replace(request, style_weights=[0.5, 1]))
    assert torch.equal(weighted.context[:, :24], 0.5 * plain.context[:, :24])
    assert torch.equal(weighted.context[:, 24:], plain.context[:, 24:])
    assert weighted.batch_key == plain.batch_key


def test_a_weight_of_zero_is_not_the_same_as_no_style(golden_pipeline: USOPipeline) -> None:
    request = make_request(1)
    zero = replace(request, style_weights=[0])
    context = golden_pipeline.condition(zero).context
    assert context.shape[1] == 24 + 512
    assert not context[:, :24].any()
    without = replace(request, style_images=[])
    assert len(set(generate(golden_pipeline, [request, zero, without]))) == 3


def test_a_style_at_two_weights_is_encoded_and_kept_once(golden_components: Components) -> None:
    pipeline = USOPipeline(golden_components)
    request = make_request(1)
    kept = [
        (pipeline.condition(replace(request, style_weights=weights)), pipeline._cache.nbytes)[1]
        for weights in ([0.5], [1.5], None)
    ]
    assert pipeline.cache_lookups["styles"] == Lookups(hits=2, misses=1)
    assert len(set(kept)) == 1
    warm = pipeline.condition(request).context
    assert torch.equal(warm, USOPipeline(golden_components).condition(request).context)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"style_images": [synth_image(16, 16)] * 5}, "style_images"),
        ({"style_weights": [1, 1]}, "style_weights"),
        ({"style_weights": [2.5]}, "style_weights[0]"),
        ({"width": 65}, "width"),
        ({"width": 8}, "width"),
        ({"num_steps": 0}, "num_steps"),
        ({"guidance": float("nan")}, "guidance"),
        ({"content_image": synth_image(1000, 20)}, "content_image"),
        ({"seed": -1}, "seed"),
        ({"prompt": "half a pair: \ud800"}, "prompt"),
        ({"num_images": 9}, "num_images"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_generated(
    change: dict[str, object], field: str, golden_pipeline: USOPipeline
) -> None:
    wrong = replace(make_request(1), **change)  # type: ignore[arg-type]  # one field of many
    with record_calls(golden_pipeline) as calls, pytest.raises(InvalidRequestError) as caught:
        golden_pipeline([make_request(0), wrong])
    assert caught.value.field == field
    assert not calls.results


def test_a_truncated_prompt_is_flagged(golden_pipeline: USOPipeline) -> None:
    long, short = replace(make_request(0), prompt="cat " * 600), make_request(0)
    assert [image.prompt_truncated for image in golden_pipeline([long, short])] == [True, False]


def test_a_base_without_guidance_gets_no_guidance(golden_components: Components) -> None:
    transformer = FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=4,
        joint_attention_dim=24,
        pooled_projection_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 6, 6),
    ).eval()
    context_embedder, pos_embed, time_text_embed = hoist_embedders(transformer)
    pipeline = USOPipeline(
        replace(
            golden_components,
            transformer=transformer,
            context_embedder=context_embedder,
            pos_embed=pos_embed,
            time_text_embed=time_text_embed,
        )
    )
    with record_calls(pipeline) as calls:
        pipeline([make_request(1)])
    assert len(calls.args["time_text_embed"][0]) == 2  # the embedders of time and text
    assert calls.kwargs["t5"][0]["input_ids"].shape == (1, 256)


def test_compiling_reaches_every_block(alone: list[str], golden_components: Components) -> None:
    transformer = deepcopy(golden_components.transformer)
    pipeline = USOPipeline(replace(golden_components, transformer=transformer))
    pipeline.compile()
    blocks = [*transformer.transformer_blocks, *transformer.single_transformer_blocks]
    assert all(hasattr(block.forward, "_torchdynamo_orig_callable") for block in blocks)
    with torch.compiler.set_stance("force_eager"):  # compiling takes a minute
        assert generate(pipeline, [make_request(1)]) == [alone[1]]


def test_the_compiler_does_not_rely_on_sizes_that_happen_to_be_equal(
    golden_components: Components,
) -> None:
    transformer = deepcopy(golden_components.transformer)
    pipeline = USOPipeline(replace(golden_components, transformer=transformer))
    pipeline.compile()
    ties: list[bool] = []
    transformer.transformer_blocks[0].register_forward_pre_hook(
        lambda *_: ties.append(symbolic_shapes.use_duck_shape)
    )
    with torch.compiler.set_stance("force_eager"), ThreadPoolExecutor(1) as thread:
        thread.submit(pipeline, [make_request(1)]).result()
    assert ties == [False, False]
