from __future__ import annotations

import random

import numpy as np

from pipelines.keys.column import Column


def test_a_column_holds_what_it_was_given_as_it_grows() -> None:
    dice = random.Random(0)
    column, expected = Column(np.int64), list[int]()
    for _ in range(30):
        values = [dice.randrange(100) for _ in range(dice.randrange(2000))]
        column.extend(np.array(values, np.int64))
        expected += values
    assert column.values.tolist() == expected


def test_values_are_taken_once() -> None:
    column = Column(np.int64)
    column.extend(np.array([30, 10, 20]))
    assert column.permuted(np.array([1, 2, 0])).tolist() == [10, 20, 30]
    assert column.values.tolist() == []
    column.extend(np.array([7]))
    assert column.values.tolist() == [7]


def test_structures_stay_together_when_they_are_taken() -> None:
    column = Column(np.dtype([("number", np.uint64), ("flag", np.uint8)]))
    column.extend(np.array([(30, 3), (10, 1), (20, 2)], column.values.dtype))
    assert column.permuted(np.array([1, 2, 0])).tolist() == [(10, 1), (20, 2), (30, 3)]
    assert len(column.values) == 0
