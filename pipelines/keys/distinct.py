"""Finds distinct and repeated texts by their hashes, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipelines.keys.index import UInt64
from pipelines.keys.quick import quick_hashes
from pipelines.keys.temporary import in_a_file

_MOST_HASHES = 1 << 20
"""Hashes in memory, 8 bytes each."""


class DistinctCount:
    """Counts the distinct texts of growing columns: 8 MB of memory, 8 bytes per text on disk.

    With 10⁸ texts, the number is one too low with a probability of 3·10⁻⁴.
    """

    def __init__(self) -> None:
        self._hashes = _SortedHashes()

    def add(self, texts: pa.Array) -> None:
        """Add texts, an array of strings or binary values; nulls do not count.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        found = np.sort(quick_hashes(texts.drop_null()))
        self._hashes.add(found[_is_first(found)])

    def __len__(self) -> int:
        """Return the number of distinct texts; reads all files."""
        return sum(int(_is_first(part).sum()) for part in self._hashes.in_order())


class RepeatedHashes:
    """Finds the hashes that come more than once; memory and disk as in `DistinctCount`."""

    def __init__(self) -> None:
        self._hashes = _SortedHashes()

    def add(self, hashes: UInt64) -> None:
        """Add hashes, `[n]`.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        self._hashes.add(hashes)

    def repeated(self) -> UInt64:
        """Return the hashes that came more than once, each once, sorted."""
        found = [part[~_is_first(part)] for part in self._hashes.in_order()]
        return np.concatenate([part[_is_first(part)] for part in found])


class _SortedHashes:
    """Hashes that are sorted in nameless temporary files and read once, in order."""

    def __init__(self) -> None:
        self._recent: list[UInt64] = []
        self._runs: list[UInt64] = []

    def add(self, hashes: UInt64) -> None:
        self._recent.append(hashes)
        if sum(map(len, self._recent)) >= _MOST_HASHES:
            run = np.sort(np.concatenate(self._recent))
            self._runs.append(in_a_file("texts", len(run), [(0, run)]))
            self._recent = []

    def in_order(self) -> Iterator[UInt64]:
        """Yield all hashes in order; equal ones are in one array."""
        runs = [*self._runs, np.sort(np.concatenate([np.empty(0, np.uint64), *self._recent]))]
        # Hashes are spread evenly, so equal parts of their range hold about equally many.
        pieces = 1 + sum(map(len, runs)) // _MOST_HASHES
        bounds = np.array([2**64 // pieces * piece for piece in range(1, pieces)], np.uint64)
        ends = [[0, *np.searchsorted(run, bounds).tolist(), len(run)] for run in runs]
        for piece in range(pieces):
            cut = [run[at[piece] : at[piece + 1]] for run, at in zip(runs, ends, strict=True)]
            yield np.sort(np.concatenate(cut))


def _is_first(hashes: UInt64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return True for the first of equal ones among sorted hashes, `[n]`."""
    found = np.ones(len(hashes), bool)
    found[1:] = hashes[1:] != hashes[:-1]
    return found
