"""Styles that are encoded once and taken in place of images."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.pipelines.pictures import picture
from tests.pipelines.tiny_models import tiny
from uso_core.errors import InvalidRequestError
from uso_core.model.style_tokens import as_encoded
from uso_core.request import EncodedStyle, StylizeRequest

STYLES = [picture(seed=seed) for seed in (1, 2)]
NUMBERS: dict[str, Any] = {"width": 32, "height": 32, "num_steps": 2, "content_long_size": 32}


def tokens(style: object) -> torch.Tensor:
    request = StylizeRequest(style_images=style, **NUMBERS)  # type: ignore[arg-type]
    return tiny().condition(request).context


def test_one_image_is_the_style_to_the_bit_whatever_its_weight() -> None:
    style = tiny().encode_styles(STYLES[:1], [0.3])
    assert torch.equal(tokens(STYLES[0]), tokens(style))
    assert style.sha256 == tiny().encode_styles(STYLES[:1]).sha256


def test_several_images_are_the_weighted_mean_of_their_tokens() -> None:
    one, other = (tiny().encode_styles([style]).tokens for style in STYLES)
    mean = tiny().encode_styles(STYLES, [1, 3]).tokens
    torch.testing.assert_close(mean, one * 0.25 + other * 0.75)
    assert torch.equal(mean, tiny().encode_styles(STYLES, [2, 6]).tokens)
    assert not torch.equal(mean, tiny().encode_styles(STYLES).tokens)


def test_weights_and_other_styles_work_as_with_images() -> None:
    style = tiny().encode_styles(STYLES[:1])
    request = StylizeRequest(style_images=[STYLES[1], style], style_weights=[1, 0.5], **NUMBERS)
    plain = StylizeRequest(style_images=STYLES[::-1], style_weights=[1, 0.5], **NUMBERS)
    assert torch.equal(tiny().condition(request).context, tiny().condition(plain).context)


def test_the_hash_is_of_type_shape_and_bytes() -> None:
    zeros = torch.zeros(4, 4)
    others = (torch.zeros(2, 8), zeros.bfloat16(), zeros + 1)
    hashes = {as_encoded(each).sha256 for each in (zeros, *others, zeros.clone())}
    assert len(hashes) == 4


def test_tokens_of_another_shape_are_refused() -> None:
    wrong = EncodedStyle(tokens=torch.zeros(2, 3), sha256="f00d")
    with pytest.raises(InvalidRequestError, match=r"style_images\[0\]: \[2, 3\]"):
        tiny().prepare(StylizeRequest(style_images=[wrong], **NUMBERS))


@pytest.mark.parametrize(("count", "weights"), [(0, None), (2, [1.0]), (1, [0.0]), (1, [-1.0])])
def test_shares_are_one_number_above_zero_for_each(count: int, weights: list[float] | None) -> None:
    with pytest.raises(ValueError, match="one weight above 0 for each"):
        tiny().encode_styles(STYLES[:count], weights)
