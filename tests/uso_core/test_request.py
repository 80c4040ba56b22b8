from __future__ import annotations

import math
import re

import numpy as np
import pytest
from PIL import Image

from uso_core.errors import InvalidRequestError
from uso_core.request import MAX_SEED, Limits, Parameters, StylizeRequest

LIMITS = Limits()


def test_defaults_are_accepted() -> None:
    StylizeRequest().check(LIMITS)


@pytest.mark.parametrize(
    ("field", "lowest", "highest", "below", "above"),
    [
        ("width", 512, 1536, 496, 1552),
        ("height", 512, 1536, 496, 1552),
        ("num_steps", 1, 50, 0, 51),
        ("guidance", 1.0, 5.0, 0.99, 5.01),
        ("content_long_size", 0, 1024, -1, 1025),
        ("num_images", 1, 8, 0, 9),
        ("seed", 0, MAX_SEED, -1, MAX_SEED + 1),
    ],
)
def test_ranges(field: str, lowest: float, highest: float, below: float, above: float) -> None:
    for accepted in (lowest, highest):
        Parameters(**{field: accepted}).check(LIMITS)  # type: ignore[arg-type]  # one of many
    for refused in (below, above, float("nan")):
        with pytest.raises(InvalidRequestError) as caught:
            Parameters(**{field: refused}).check(LIMITS)  # type: ignore[arg-type]  # one of many
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("width", 512.0, "a whole number"),
        ("num_steps", 2.5, "a whole number"),
        ("seed", None, "a whole number"),
        ("guidance", "4", "a number"),
        ("prompt", None, "text"),
        ("content_image", "cat.jpg", "a PIL image"),
        ("style_images", ["woodcut.png"], "a PIL image"),
    ],
)
def test_values_of_another_type_are_named(field: str, value: object, wanted: str) -> None:
    request = StylizeRequest(**{field: value})  # type: ignore[arg-type]  # the wrong type is the test
    with pytest.raises(InvalidRequestError, match=rf"^{field}.* give {wanted}"):
        request.check(LIMITS)


def test_numbers_of_numpy_are_numbers() -> None:
    StylizeRequest(width=np.int64(512), guidance=np.float32(2)).check(LIMITS)  # type: ignore[arg-type]


def test_sides_are_on_the_grid() -> None:
    with pytest.raises(InvalidRequestError, match=r"width: 520 .* a multiple of 16"):
        Parameters(width=520).check(LIMITS)


def test_the_last_images_seed_counts() -> None:
    Parameters(seed=MAX_SEED - 1, num_images=2).check(LIMITS)
    with pytest.raises(InvalidRequestError):
        Parameters(seed=MAX_SEED, num_images=2).check(LIMITS)
    assert list(Parameters(seed=5, num_images=3).seeds) == [5, 6, 7]


def request_with(weights: list[float] | None, styles: int) -> StylizeRequest:
    images = [Image.new("RGB", (16, 16))] * styles
    return StylizeRequest(style_images=images, style_weights=weights)


@pytest.mark.parametrize("weights", [None, [0, 2], [1.0, 0.5]])
def test_weights_of_each_style_are_accepted(weights: list[float] | None) -> None:
    request_with(weights, 2).check(LIMITS)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([], "style_weights: [] is not accepted; give one number for each style, 2 in all"),
        ([1, 1, 1], "style_weights: [1, 1, 1] is not accepted; give one number for each style"),
        ([1, -0.01], "style_weights[1]: -0.01 is not accepted; give 0.0 to 2.0"),
        ([2.01, 1], "style_weights[0]: 2.01 is not accepted; give 0.0 to 2.0"),
        ([math.nan, 1], "style_weights[0]: nan is not accepted; give 0.0 to 2.0"),
    ],
)
def test_weights_that_are_not_accepted_are_named(weights: list[float], said: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(said)):
        request_with(weights, 2).check(LIMITS)
