from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.keys import distinct
from pipelines.keys.distinct import DistinctCount, KnownHashes, RepeatedHashes, SortedHashes
from pipelines.keys.quick import quick_hashes

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["a", "\0", "\0\0"])))


@settings(max_examples=50, deadline=None)
@given(TEXTS, st.integers(0, 3))
def test_equal_texts_and_no_others_have_the_same_hash(texts: list[str | None], start: int) -> None:
    for kind in (pa.string(), pa.large_string(), pa.binary()):
        cells = [None if text is None else text.encode() for text in texts]
        hashes = quick_hashes(pa.array(cells if kind == pa.binary() else texts, kind)[start:])
        of_text = dict(zip([cell or b"" for cell in cells[start:]], hashes.tolist(), strict=True))
        assert [of_text[cell or b""] for cell in cells[start:]] == hashes.tolist()
        assert len(set(of_text.values())) == len(of_text)


def test_long_texts_and_every_length() -> None:
    texts = [*("a" * n for n in range(40)), *("b" * n for n in (1023, 1024, 1025, 9999))]
    one = quick_hashes(pa.array(texts))
    assert len(set(one.tolist())) == len(texts)
    assert quick_hashes(pa.array(texts[::-1])).tolist() == one.tolist()[::-1]


def test_the_secret_differs_between_processes() -> None:
    code = (
        "import pyarrow as pa; from pipelines.keys.quick import quick_hashes; "
        "print(quick_hashes(pa.array(['a']))[0])"
    )
    said = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(said) == 2


@pytest.mark.parametrize("most", [1, 7, 1 << 20])
def test_counts_do_not_depend_on_the_files(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(distinct, "_MOST_HASHES", most)
    count, repeated = DistinctCount(), RepeatedHashes()
    numbers = np.random.default_rng(0).integers(0, 50, 90)
    for some in np.array_split(numbers, 9):
        texts = pa.array([str(n) for n in some])
        count.add(texts)
        count.add(pa.array(list(set(texts.to_pylist()))), are_distinct=True)
        repeated.add(quick_hashes(texts))
    values, times = np.unique(numbers, return_counts=True)
    assert len(count) == len(values)
    again = quick_hashes(pa.array([str(n) for n in values[times > 1]]))
    assert repeated.repeated().tolist() == sorted(again.tolist())
    assert len(DistinctCount()) == 0


@pytest.mark.parametrize(("most", "block"), [(1, 1), (7, 3), (1 << 20, 1024)])
def test_known_hashes_are_found(monkeypatch: pytest.MonkeyPatch, most: int, block: int) -> None:
    monkeypatch.setattr(distinct, "_MOST_HASHES", most)
    monkeypatch.setattr(distinct, "_BLOCK", block)
    largest = np.iinfo(np.uint64).max
    numbers = np.random.default_rng(0).integers(0, 90, 60).astype(np.uint64) << np.uint64(57)
    given = np.concatenate([numbers[numbers > 0], np.array([largest, largest], np.uint64)])
    known = KnownHashes(SortedHashes.of(np.array_split(given, 9)))
    asked = np.arange(256, dtype=np.uint64) << np.uint64(56)
    asked = np.concatenate([asked, asked + np.uint64(1), [np.uint64(largest)]])
    assert known.has(asked).tolist() == np.isin(asked, given).tolist()
    values, times = np.unique(given, return_counts=True)
    assert known.repeated.tolist() == values[times > 1].tolist()
    assert known.has(asked[:0]).tolist() == []
    assert not KnownHashes(SortedHashes()).has(asked).any()
