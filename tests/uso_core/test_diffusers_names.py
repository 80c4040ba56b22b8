"""A pipeline takes the names of diffusers: in calls, for its methods, and to load a model."""

from __future__ import annotations

import inspect
import re
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from uso_core.pipeline import USOPipeline

PICTURE = Image.new("RGB", (32, 32), "red")


@pytest.fixture(scope="module")
def tiny() -> USOPipeline:
    return USOPipeline.tiny()


SMALL: dict[str, Any] = {"prompt": "a cat", "width": 32, "height": 16, "num_inference_steps": 3}


def test_a_call_as_for_a_pipeline_of_diffusers(tiny: USOPipeline) -> None:
    result = tiny(
        **SMALL, content_image=PICTURE, style_images=[PICTURE], guidance_scale=3.0, seed=7
    )
    assert [image.size for image in result.images] == [(32, 16)]
    (images,) = tiny(**SMALL, seed=7, return_dict=False, output_type="np")
    assert (images.shape, images.dtype) == ((1, 16, 32, 3), "float32")
    tensor = tiny(**SMALL, seed=7, output_type="pt", num_images_per_prompt=2).images
    assert tuple(tensor.shape) == (2, 3, 16, 32)
    assert (tensor[0].permute(1, 2, 0).numpy() == images[0]).all()


def test_a_generator_gives_seeds_that_the_result_names(tiny: USOPipeline) -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = (tiny(**SMALL, generator=generator)[0] for _ in range(2))
    assert first.seed != second.seed
    again = tiny(**SMALL, generator=torch.Generator().manual_seed(1))[0]
    assert again.seed == first.seed
    assert (
        tiny(**SMALL, generator=torch.Generator().manual_seed(1), seed=None)[0].seed == again.seed
    )
    assert tiny(**SMALL, seed=first.seed)[0].image.tobytes() == first.image.tobytes()
    with pytest.raises(TypeError, match="the seed is given twice"):
        tiny(**SMALL, generator=generator, seed=1)
    with pytest.raises(TypeError, match=r"int is not accepted; give a torch\.Generator"):
        tiny(**SMALL, generator=3)  # type: ignore[arg-type]


def test_each_prompt_of_a_list_may_have_its_generator(tiny: USOPipeline) -> None:
    small = {**SMALL, "prompt": ["a cat", "a dog"]}
    generators = [torch.Generator().manual_seed(number) for number in (1, 2)]
    several = tiny(**small, generator=generators)
    alone = tiny(**SMALL, generator=torch.Generator().manual_seed(1))
    assert several[0].image.tobytes() == alone[0].image.tobytes()
    assert several[0].seed != several[1].seed
    with pytest.raises(TypeError, match="1 generators for 2 requests"):
        tiny(**small, generator=generators[:1])


def test_a_callback_sees_each_step_changes_latents_and_ends_early(tiny: USOPipeline) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def watch(pipe: Any, step: int, timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        assert pipe is tiny
        assert 0 <= float(timestep) <= 1000
        seen.append((step, tuple(given["latents"].shape)))
        return given

    plain = tiny(**SMALL).images[0].tobytes()
    assert tiny(**SMALL, callback_on_step_end=watch).images[0].tobytes() == plain
    assert seen == [(step, (1, 2, 64)) for step in range(3)]

    def flatten(_pipe: Any, _step: int, _timestep: Any, given: dict[str, Any]) -> dict[str, Any]:
        return {"latents": given["latents"] * 0}

    assert tiny(**SMALL, callback_on_step_end=flatten).images[0].tobytes() != plain

    def stop(pipe: Any, step: int, _timestep: Any, _given: dict[str, Any]) -> None:
        pipe.interrupt = step == 0

    seen.clear()
    early = tiny(**SMALL, callback_on_step_end=stop).images[0].tobytes()
    assert early != plain
    assert tiny(**SMALL).images[0].tobytes() == plain  # the next call is not interrupted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_type": "latent"}, "output_type 'latent' is not accepted; give pil, np, pt"),
        ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, "'prompt_embeds'"),
    ],
)
def test_options_that_do_not_exist_are_named(
    tiny: USOPipeline, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny(**SMALL, **options)


def test_every_argument_of_flux_in_diffusers_is_taken_or_answered(tiny: USOPipeline) -> None:
    theirs = inspect.signature(diffusers.FluxPipeline.__call__).parameters
    ours = inspect.signature(USOPipeline.__call__).parameters
    for name in theirs.keys() - ours.keys() - SMALL.keys() - {"guidance_scale"}:
        if name == "num_images_per_prompt":
            continue
        with pytest.raises(TypeError, match=rf"`{name}` of diffusers is not taken: "):
            tiny(**{**SMALL, name: 1})


def test_a_pipeline_is_where_it_was_loaded(tiny: USOPipeline) -> None:
    for places in (("cpu",), (torch.device("cpu"),), (torch.float32,), ("cpu", torch.float32)):
        assert tiny.to(*places) is tiny
    assert tiny.to(device="cpu", dtype=torch.float32) is tiny
    for place in ("cuda", torch.bfloat16):
        with pytest.raises(ValueError, match=r"does not move; load it there: from_pretrained\("):
            tiny.to(place)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("enable_model_cpu_offload", 'preset="low_vram"'),
        ("load_lora_weights", r"ModelSource\(…, loras=…\)"),
        ("transformer", r"`components\.transformer`"),
        ("no_such_thing", "has no attribute 'no_such_thing'$"),
    ],
)
def test_a_method_of_diffusers_that_is_missing_names_ours(
    tiny: USOPipeline, name: str, instead: str
) -> None:
    assert not hasattr(tiny, name)
    with pytest.raises(AttributeError, match=instead):
        getattr(tiny, name)


def test_arguments_have_the_names_of_flux_in_diffusers() -> None:
    theirs = inspect.signature(diffusers.FluxPipeline.__call__).parameters
    ours = {*inspect.signature(USOPipeline.__call__).parameters, *SMALL, "guidance_scale"}
    shared = {
        *("prompt", "height", "width", "num_inference_steps", "guidance_scale", "generator"),
        *("output_type", "return_dict", "callback_on_step_end"),
        "callback_on_step_end_tensor_inputs",
    }
    assert shared <= set(theirs)
    assert shared <= ours


def test_the_bar_is_set_as_in_diffusers(
    tiny: USOPipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny(**SMALL, progress=True)
    assert "3/3" in capsys.readouterr().err
    tiny.set_progress_bar_config(disable=True)
    tiny(**SMALL, progress=True)
    assert capsys.readouterr().err == ""
    tiny.set_progress_bar_config()


def test_from_pretrained_takes_the_names_of_diffusers() -> None:
    pipe = USOPipeline.from_pretrained("tiny", torch_dtype=torch.float32, device="cpu")
    assert (pipe.dtype, pipe.device.type) == (torch.float32, "cpu")
    named = USOPipeline.from_pretrained("tiny", torch_dtype="bfloat16", device="cpu")
    assert named.dtype == torch.bfloat16
    with pytest.raises(TypeError, match=r"torch_dtype: 'half-ish' is not accepted"):
        USOPipeline.from_pretrained("tiny", torch_dtype="half-ish", device="cpu")
