"""A pipeline takes requests in every form whose meaning is clear, and names any other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from uso_core.calls import requests_of
from uso_core.errors import InvalidRequestError
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizedImage, StylizedImages, StylizeRequest

PICTURE = Image.new("RGB", (32, 32), "red")
CAT = StylizeRequest(prompt="a cat")
DOG = StylizeRequest(prompt="a dog")


@pytest.mark.parametrize(
    ("given", "fields", "requests"),
    [
        ([CAT, DOG], {}, [CAT, DOG]),
        ((CAT, DOG), {}, [CAT, DOG]),
        (iter([CAT, DOG]), {}, [CAT, DOG]),
        (CAT, {}, [CAT]),
        ("a cat", {}, [CAT]),
        (["a cat", "a dog"], {}, [CAT, DOG]),
        (["a cat", DOG, {"prompt": "a cat"}], {}, [CAT, DOG, CAT]),
        ({"prompt": "a cat"}, {}, [CAT]),
        (None, {"prompt": "a cat"}, [CAT]),
        ([], {}, []),
        ("", {}, [StylizeRequest()]),
        ("a cat", {"seed": 3}, [StylizeRequest(prompt="a cat", seed=3)]),
        (
            [CAT, "a dog"],
            {"seed": 3},
            [StylizeRequest(prompt=p, seed=3) for p in ("a cat", "a dog")],
        ),
        (CAT, {"prompt": "a dog"}, [DOG]),
        ({"prompt": "a cat", "seed": 1}, {"seed": 3}, [StylizeRequest(prompt="a cat", seed=3)]),
        ("a cat", {"num_inference_steps": 4}, [StylizeRequest(prompt="a cat", num_steps=4)]),
        ("a cat", {"guidance_scale": 2.0}, [StylizeRequest(prompt="a cat", guidance=2.0)]),
        ("a cat", {"num_images_per_prompt": 2}, [StylizeRequest(prompt="a cat", num_images=2)]),
        ("a cat", {"image": PICTURE}, [StylizeRequest(prompt="a cat", content_image=PICTURE)]),
        ("a cat", {"negative_prompt": None, "latents": None}, [StylizeRequest(prompt="a cat")]),
        ("a cat", {"seed": None, "guidance": None, "num_images_per_prompt": None}, [CAT]),
        ("a cat", {"num_steps": 4, "num_inference_steps": None}, [replace(CAT, num_steps=4)]),
        ({"prompt": "a cat", "seed": None}, {"content_long_size": None}, [CAT]),
        (None, {"prompt": None, "image": PICTURE}, [StylizeRequest(content_image=PICTURE)]),
        (StylizeRequest(content_image=PICTURE), {"content_image": None}, [StylizeRequest()]),
        (None, {"prompt": ["a cat", "a dog"]}, [CAT, DOG]),
        (
            None,
            {"prompt": ["a cat", "a dog"], "image": [PICTURE, None], "seed": 3},
            [
                StylizeRequest(prompt="a cat", content_image=PICTURE, seed=3),
                StylizeRequest(prompt="a dog", seed=3),
            ],
        ),
    ],
)
def test_forms_of_a_call(
    given: Any,
    fields: Mapping[str, Any],
    requests: list[StylizeRequest],
) -> None:
    assert requests_of(given, fields) == requests


@pytest.mark.parametrize(
    ("given", "fields", "message"),
    [
        (None, {}, "no request: give a StylizeRequest"),
        ("a", {"prompt": "b"}, "the prompt is given twice"),
        ("a", {"style_image": PICTURE}, "no field `style_image`; did you mean `style_images`?"),
        ("a", {"generator": 0}, "no field `generator`; give one of width, "),
        ({"prompts": "a"}, {}, "did you mean `prompt`"),
        ("a", {"negative_prompt": "b"}, "`negative_prompt` of diffusers is not taken: FLUX.1-dev"),
        ("a", {"max_sequence_length": 256}, "prompts always have 512 T5 tokens"),
        (None, {"prompt": ["a", "b"], "image": [PICTURE]}, "2 prompts and 1 content images"),
        ("a", {"num_steps": 2, "num_inference_steps": 3}, "diffusers calls it `num_inference_"),
        ("a", {"guidance_scale": 2.0, "guidance": 3.0}, "diffusers calls it `guidance_scale`"),
    ],
)
def test_wrong_names_are_type_errors(
    given: Any,
    fields: Mapping[str, Any],
    message: str,
) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        requests_of(given, fields)


@pytest.mark.parametrize("given", [3, [3], PICTURE, [CAT, None], [["a cat"]], b"a cat"])
def test_other_objects_are_named(given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="give a StylizeRequest, a prompt, or a mapping"):
        requests_of(given, {})


def test_one_style_needs_no_list() -> None:
    request = StylizeRequest(style_images=PICTURE, style_weights=0.5)  # type: ignore[arg-type]
    assert request == StylizeRequest(style_images=[PICTURE], style_weights=[0.5])
    assert StylizeRequest(style_images=None) == StylizeRequest()  # type: ignore[arg-type]


@pytest.mark.parametrize("styles", ["painting.jpg", Path("painting.jpg"), 3, b"..."])
def test_a_style_that_is_no_image_is_named(styles: Any) -> None:
    request = StylizeRequest(style_images=styles)
    with pytest.raises(InvalidRequestError, match=r"style_images\[0\].*give a PIL image"):
        request.check(USOPipeline.tiny().limits)


def test_the_result_is_a_list_with_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    pipe = USOPipeline.tiny()
    result = pipe("a cat", width=64, height=64, num_steps=2, num_images=2)
    assert [each.image for each in result] == result.images
    assert [each.seed for each in result] == [0, 1]
    assert capsys.readouterr().err == ""  # nobody watches


def test_a_bar_shows_the_steps_of_all_images(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    pipe = USOPipeline.tiny()
    fields: dict[str, Any] = {"width": 64, "height": 64, "num_steps": 2, "num_images": 2}
    pipe("a cat", progress=True, on_step=lambda *step: seen.append(step), **fields)
    assert "4/4" in capsys.readouterr().err
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_notebook_shows_images_with_their_seeds() -> None:
    images = StylizedImages(
        [
            StylizedImage(image=PICTURE, seed=7, prompt_truncated=False),
            StylizedImage(image=PICTURE, seed=8, prompt_truncated=True),
        ]
    )
    html = images._repr_html_()
    assert html.count('<img src="data:image/png;base64,') == 2
    assert re.findall("<figcaption>(.*?)</figcaption>", html) == ["seed 7", "seed 8, prompt cut"]


def test_locations_may_be_paths() -> None:
    source = ModelSource(base=Path("weights"), uso=Path("uso"))  # type: ignore[arg-type]
    assert source == ModelSource(base="weights", uso="uso")
