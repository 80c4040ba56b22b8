from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.config.inputs import DefaultsConfig
from pipelines.manifest.weighted_rows import weighted_rows

REALS = pa.list_(pa.float64())
ONES = [None, [], [1.0], [1.0, 1.0], [1.0, 1.0, 1.0]]


def weighted(weights: Any, defaults: dict[str, Any] | None = None, **columns: Any) -> list[bool]:
    found = weighted_rows(
        weights if isinstance(weights, pa.Array) else pa.array(weights, REALS),
        {name: pa.array(column) for name, column in columns.items()},
        DefaultsConfig.model_validate(defaults or {}),
    )
    return [bool(flag) for flag in found]


def test_weights_other_than_one_count() -> None:
    weights = [[1.0, 0.5], [0.0, 1.0], [1.0, 1.0], None, [None, 1.0], [float("nan"), 1.0]]
    listed = pa.array([["a", "b"]] * 6)
    expected = [True, True, False, False, True, True]
    assert weighted(weights, style_images=listed) == expected
    assert weighted(pa.array(weights, REALS)[3:], style_images=listed[3:]) == expected[3:]


@pytest.mark.parametrize(
    ("columns", "styles"),
    [
        ({}, 0),
        ({"style_image": ["a"] * 5}, 1),
        ({"style_image": [b"a"] * 5, "extra_style_image": pa.array(["b"] * 5)}, 2),
        ({"style_image": [""] * 5, "extra_style_image": pa.nulls(5)}, 0),
        ({"style_image": pa.array(["a"] * 5).dictionary_encode()}, 1),
        ({"style_images": [["a", "b", "c"]] * 5}, 3),
        ({"style_images": pa.array([["a"]] * 5, pa.large_list(pa.string()))}, 1),
        ({"style_image": ["a"] * 5, "style_images": [["b"]] * 5, "prompt": ["p"] * 5}, 2),
    ],
)
def test_ones_count_if_their_number_is_not_the_number_of_styles(
    columns: dict[str, Any], styles: int
) -> None:
    expected = [weights is not None and len(weights) != styles for weights in ONES]
    assert weighted(ONES, **columns) == expected


def test_default_styles_replace_null_cells() -> None:
    defaults = {"style_image": "d", "style_images": ["e", "f"]}
    columns = {"style_image": [None, "a", ""], "style_images": [None, ["b"], []]}
    assert weighted([[1.0] * 3, [1.0] * 2, []], defaults, **columns) == [False] * 3
    assert weighted([[1.0] * 3], defaults) == [False]


@pytest.mark.parametrize(
    ("weights", "columns"),
    [
        (pa.array(["[1]", None]), {"style_image": ["a", "a"]}),
        (pa.array([1.0, None]), {"style_image": ["a", "a"]}),
        (pa.array([[True], None]), {"style_image": ["a", "a"]}),
        (pa.array([[1.0], None]), {"style_images": ['["a"]', None]}),
        (pa.array([[1.0], None]), {"style_image": [{"path": "a"}, None]}),
    ],
    ids=["text", "number", "booleans", "styles-as-text", "styles-as-structs"],
)
def test_all_weights_count_if_the_types_hide_their_values(
    weights: pa.Array, columns: dict[str, Any]
) -> None:
    assert weighted(weights, **columns) == [True, False]
