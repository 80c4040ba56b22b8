from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from pipelines.keys import index
from pipelines.keys.index import LsmTable, SortedKeys, UInt64, halves_of, row_key, row_keys

NUMBER = np.dtype(np.uint32)


def keys(*names: object) -> list[bytes]:
    return [row_key(str(name)) for name in names]


def u64(*numbers: int) -> UInt64:
    return np.array(numbers, np.uint64)


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the dict after 8 keys, so that a test reaches the sorted arrays."""
    monkeypatch.setattr(index, "_RECENT", 8)


def test_a_key_is_blake2b_of_the_utf8_id() -> None:
    assert row_key("é") == hashlib.blake2b("é".encode(), digest_size=16).digest()
    assert row_keys([b"a", "é".encode()]) == row_key("a") + row_key("é")


def test_keys_as_numbers() -> None:
    key = bytes(range(16))
    assert [half.tolist() for half in halves_of(key)] == [
        [0x0001020304050607],
        [0x08090A0B0C0D0E0F],
    ]


@pytest.mark.usefixtures("small_buffer")
def test_a_key_table_agrees_with_a_dict_as_it_grows() -> None:
    dice = random.Random(1)
    table, known = LsmTable(NUMBER), dict[bytes, int]()
    for _ in range(120):
        batch = keys(*(dice.randrange(500) for _ in range(dice.randrange(1, 25))))
        numbers = [dice.randrange(2**32) for _ in batch]
        table.put(batch, np.array(numbers, NUMBER))
        known.update(zip(batch, numbers, strict=True))
    asked = [*known, *keys("x", "y")]
    here, found = table.get(asked)
    assert here.tolist() == [True] * len(known) + [False] * 2
    assert found.tolist() == [*known.values(), 0, 0]
    assert len(table) == len(known)


def test_keys_that_share_their_first_half_are_told_apart() -> None:
    here = SortedKeys.sort(u64(7, 7, 9, 7), u64(3, 1, 1, 2), np.array([30, 10, 91, 20], NUMBER))
    at = here.find(u64(7, 7, 7, 7, 9, 9, 8), u64(1, 2, 3, 4, 1, 9, 1))
    assert here.payload[at[at >= 0]].tolist() == [10, 20, 30, 91]
    assert (at < 0).tolist() == [False, False, False, True, False, True, True]


def test_an_empty_table_knows_nothing() -> None:
    nothing = SortedKeys.sort(u64(), u64(), np.empty(0, NUMBER))
    assert nothing.find(u64(0, 1), u64(0, 1)).tolist() == [-1, -1]
    assert LsmTable(NUMBER).get(keys("a"))[0].tolist() == [False]
