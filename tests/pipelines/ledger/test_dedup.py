from __future__ import annotations

import numpy as np
import pytest

from pipelines.keys.index import halves_of, row_key
from pipelines.ledger.dedup import winning_rows


def counting(*rows: tuple[str, int, bool]) -> list[int]:
    """Return the winning rows among `(id, created_at, completed)`."""
    high, low = halves_of(b"".join(row_key(row_id) for row_id, _, _ in rows))
    created_at = np.array([time for _, time, _ in rows], np.int64)
    completed = np.array([done for _, _, done in rows], bool)
    order = np.argsort(high)
    counts = winning_rows(high[order], low[order], created_at[order], completed[order], order)
    return sorted(order[counts].tolist())


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([("a", 1, True), ("b", 1, False)], [0, 1]),
        ([("a", 2, False), ("a", 1, True)], [0]),
        ([("a", 1, True), ("a", 2, False)], [1]),
        ([("a", 1, True), ("a", 1, False)], [0]),
        ([("a", 1, False), ("a", 1, True)], [1]),
        ([("a", 1, True), ("b", 1, True), ("a", 1, True)], [1, 2]),
        ([("a", 1, True), ("a", 3, False), ("b", 9, True), ("a", 2, True)], [1, 2]),
    ],
)
def test_which_rows_count(rows: list[tuple[str, int, bool]], expected: list[int]) -> None:
    assert counting(*rows) == expected


def test_keys_that_share_their_first_half_are_different_rows() -> None:
    high, low = np.array([7, 7, 7], np.uint64), np.array([1, 2, 1], np.uint64)
    counts = winning_rows(high, low, np.array([5, 1, 4]), np.ones(3, bool), np.arange(3))
    assert counts.tolist() == [True, True, False]
