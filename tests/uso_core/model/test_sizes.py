from __future__ import annotations

from typing import Any

import pytest

from tests.uso_core.goldens import unit_rows
from uso_core.errors import InvalidRequestError
from uso_core.model.sizes import Size, content_size, output_size
from uso_core.request import Limits, Parameters

LIMITS = Limits()


@pytest.mark.parametrize("row", unit_rows("keep_size"), ids=lambda row: str(list(row.values())[:3]))
def test_kept_sizes_are_the_originals(row: dict[str, Any]) -> None:
    content = Size(row["content_width"], row["content_height"])
    parameters = Parameters(keep_size=True, content_long_size=row["content_long_size"])
    size = output_size(parameters, content, LIMITS)
    expected = row["gradio_effective"]
    assert expected == row["inference_effective"]
    if row["content_long_size"] == 784:  # the original's floats fall just short of 1024
        expected = [1024 if side == 1008 else side for side in expected]
    assert list(size) == expected


@pytest.mark.parametrize(
    ("content", "width", "height", "expected"),
    [
        (None, None, None, (1024, 1024)),
        (None, 768, None, (768, 1024)),
        (None, 768, 512, (768, 512)),
        ((3000, 2000), None, None, (1248, 832)),
        ((2000, 3000), None, None, (832, 1248)),
        ((640, 640), None, None, (1024, 1024)),
        ((1920, 1080), None, None, (1360, 768)),
        ((9000, 1000), None, None, (1536, 512)),
        ((3000, 2000), 768, None, (768, 512)),
        ((3000, 2000), None, 768, (1152, 768)),
        ((3000, 2000), 512, 512, (512, 512)),
        ((9000, 1000), None, 1536, (1536, 1536)),
    ],
)
def test_sides_that_are_left_out_follow_the_content(
    content: tuple[int, int] | None,
    width: int | None,
    height: int | None,
    expected: tuple[int, int],
) -> None:
    parameters = Parameters(width=width, height=height)
    size = output_size(parameters, None if content is None else Size(*content), LIMITS)
    assert size == expected


def test_keep_size_needs_a_content_image() -> None:
    assert output_size(Parameters(keep_size=True, width=512), None, LIMITS) == (512, 1024)


def test_a_kept_size_below_one_token_is_refused() -> None:
    limits = Limits(min_size=16, default_size=64)
    parameters = Parameters(keep_size=True, content_long_size=512)
    with pytest.raises(InvalidRequestError, match=r"keep_size: True .* would draw 64x0 px"):
        output_size(parameters, Size(512, 100), limits)


def test_a_token_sized_image_is_not_scaled() -> None:
    assert content_size(Size(16, 16), 512) == (16, 16)
    assert content_size(Size(15, 15), 512) == (512, 512)


def test_content_below_one_token_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="content_image: '1000x20'"):
        content_size(Size(1000, 20), 512)
