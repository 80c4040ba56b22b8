from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from pipelines.ledger import key_index
from pipelines.ledger.key_index import (
    KeySet,
    KeyTable,
    SortedKeys,
    UInt64,
    halves_of,
    row_key,
    row_keys,
)

NUMBER = np.dtype(np.uint32)


def keys(*names: object) -> list[bytes]:
    return [row_key(str(name)) for name in names]


def u64(*numbers: int) -> UInt64:
    return np.array(numbers, np.uint64)


@pytest.fixture
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dict that is full after 8 keys, so that a test reaches the sorted arrays."""
    monkeypatch.setattr(key_index, "_RECENT", 8)


def test_a_key_is_blake2b_of_the_utf8_id() -> None:
    assert row_key("é") == hashlib.blake2b("é".encode(), digest_size=16).digest()
    assert row_keys([b"a", "é".encode()]) == row_key("a") + row_key("é")


def test_keys_as_numbers() -> None:
    key = bytes(range(16))
    assert [half.tolist() for half in halves_of(key)] == [
        [0x0001020304050607],
        [0x08090A0B0C0D0E0F],
    ]


def test_a_key_is_new_once() -> None:
    seen = KeySet()
    assert seen.add(keys("a", "b", "a")) == [True, True, False]
    assert seen.add(keys("b", "c")) == [False, True]
    assert len(seen) == 3
    assert row_key("c") in seen
    assert row_key("d") not in seen
    assert seen.add([]) == []


@pytest.mark.usefixtures("small_buffer")
def test_a_key_set_agrees_with_a_set_as_it_grows() -> None:
    dice = random.Random(0)
    seen, known = KeySet(), set[bytes]()
    for _ in range(120):
        batch = keys(*(dice.randrange(1000) for _ in range(dice.randrange(25))))
        expected = []
        for key in batch:
            expected.append(key not in known)
            known.add(key)
        assert seen.add(batch) == expected
    assert len(seen) == len(known)
    assert all(key in seen for key in known)


@pytest.mark.usefixtures("small_buffer")
def test_a_key_table_agrees_with_a_dict_as_it_grows() -> None:
    dice = random.Random(1)
    table, known = KeyTable(NUMBER), dict[bytes, int]()
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


def test_loaded_and_put_keys_are_one_table() -> None:
    table = KeyTable(NUMBER)
    table.load(SortedKeys.sort(*halves_of(b"".join(keys("a", "b"))), np.array([1, 2], NUMBER)))
    table.put(keys("b", "c"), np.array([20, 30], NUMBER))
    assert len(table) == 3
    assert table.get(keys("a", "b", "c", "d"))[1].tolist() == [1, 20, 30, 0]


def test_keys_that_share_their_first_half_are_told_apart() -> None:
    here = SortedKeys.sort(u64(7, 7, 9, 7), u64(3, 1, 1, 2), np.array([30, 10, 91, 20], NUMBER))
    at = here.find(u64(7, 7, 7, 7, 9, 9, 8), u64(1, 2, 3, 4, 1, 9, 1))
    assert here.payload[at[at >= 0]].tolist() == [10, 20, 30, 91]
    assert (at < 0).tolist() == [False, False, False, True, False, True, True]


def test_an_empty_table_knows_nothing() -> None:
    nothing = SortedKeys.sort(u64(), u64(), np.empty(0, NUMBER))
    assert nothing.find(u64(0, 1), u64(0, 1)).tolist() == [-1, -1]
    assert KeyTable(NUMBER).get(keys("a"))[0].tolist() == [False]


def test_memory_per_key_is_small() -> None:
    seen = KeySet()
    dice = random.Random(2)
    for _ in range(6):
        seen.add([dice.randbytes(16) for _ in range(50_000)])
    levels = seen._table._levels
    settled = sum(map(len, levels))
    assert settled > 200_000
    assert sum(level.high.nbytes + level.low.nbytes for level in levels) == 16 * settled
    assert len(levels) <= 3
