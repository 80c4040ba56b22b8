from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from pipelines.image_values import (
    is_per_image,
    lowest,
    of_images,
    record_column,
    without_other_metadata,
)

SCORE = record_column(pa.field("score", pa.float32()))


def test_a_column_is_a_list_with_a_mark() -> None:
    assert SCORE.type == pa.list_(pa.float32())
    assert is_per_image(SCORE)
    assert not is_per_image(pa.field("score", pa.list_(pa.float32())))
    assert not is_per_image(pa.field("score", pa.list_(pa.float32()), metadata={"a": "b"}))


def test_the_mark_alone_is_kept() -> None:
    noisy = SCORE.with_metadata({**SCORE.metadata, b"PARQUET:field_id": b"3"})
    assert without_other_metadata(noisy).metadata == SCORE.metadata
    plain = pa.field("tags", pa.list_(pa.string()), metadata={b"PARQUET:field_id": b"3"})
    assert without_other_metadata(plain).metadata is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 1.5, None], 1.5),
        ([2, Decimal("0.5")], 0.5),
        ([math.nan, math.inf, 7.0], 7.0),
        ([None, math.nan], None),
        ([True, "text"], None),
        ([], None),
        (None, None),
    ],
)
def test_the_lowest_finite_number_stands_for_a_row(
    values: list[object] | None, expected: float | None
) -> None:
    assert lowest(values) == expected


def test_each_image_gets_its_own_value() -> None:
    column = pa.array([[1.0, 2.0], None, [3.0], [], [4.0, None, 6.0]], pa.list_(pa.float64()))
    rows = np.array([0, 0, 1, 2, 3, 4, 4, 4])
    index = np.array([0, 1, 0, 0, 0, 0, 1, 2])
    found = of_images(column, rows, index).to_pylist()
    assert found == [1.0, 2.0, None, 3.0, None, 4.0, None, 6.0]


def test_no_image_has_a_value_in_an_empty_column() -> None:
    nothing = of_images(pa.nulls(2, pa.list_(pa.string())), np.array([0, 1]), np.array([0, 0]))
    assert nothing.to_pylist() == [None, None]
    assert nothing.type == pa.string()
