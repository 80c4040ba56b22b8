from __future__ import annotations

import mmap
import random
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import StorageError
from pipelines.keys import key_set
from pipelines.keys.index import UInt64, row_key
from pipelines.keys.key_set import KeySet


def keys(*names: object) -> list[bytes]:
    return [row_key(str(name)) for name in names]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write files from 8 keys on, merged in chunks of about 16, so that a test has many."""
    monkeypatch.setattr(key_set, "_RECENT", 8)
    monkeypatch.setattr(key_set, "_MERGED_AT_ONCE", 16)


def test_a_key_is_new_once() -> None:
    seen = KeySet()
    assert seen.add(keys("a", "b", "a")) == [True, True, False]
    assert seen.add(keys("b", "c")) == [False, True]
    assert len(seen) == 3
    assert row_key("c") in seen
    assert row_key("d") not in seen
    assert seen.add([]) == []


@pytest.mark.usefixtures("small_files")
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
    assert len(seen._files) <= 4


def test_keys_that_share_their_first_half_stay_apart_in_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_set, "_RECENT", 4)
    seen = KeySet()
    alike = [bytes([half] * 8 + [n] * 8) for half in (0, 7, 255) for n in range(4)]
    assert all(seen.add(alike[::2]))
    assert seen.add(alike) == [False, True] * 6
    assert [key in seen for key in [*alike, bytes([7] * 8 + [9] * 8)]] == [True] * 12 + [False]


@pytest.mark.usefixtures("small_files")
def test_all_but_the_last_keys_are_in_mapped_files() -> None:
    seen = KeySet()
    for n in range(100):
        seen.add(keys(2 * n, 2 * n + 1))
    assert sum(map(len, seen._files)) == 200
    assert not seen._recent
    for file in seen._files:
        assert isinstance(owner(file.high), mmap.mmap)
        assert isinstance(owner(file.low), mmap.mmap)


def owner(values: UInt64) -> object:
    """Return the object whose memory an array views."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) else base


@pytest.mark.usefixtures("small_files")
def test_a_folder_that_cannot_hold_the_keys_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match=r"cannot hold the ids of the rows.*TMPDIR") as caught:
        KeySet().add(keys(*range(8)))
    assert caught.value.uri == str(tmp_path / "gone")
    assert caught.value.fault == "not_found"
