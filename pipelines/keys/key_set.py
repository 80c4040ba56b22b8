"""A set of 10⁷ or more row keys in constant memory: all but the newest keys are in temporary files.

The files are memory-mapped and have no names, so nothing is left behind; see `keys.temporary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipelines.keys.index import SortedKeys, UInt64, halves_of, should_merge
from pipelines.keys.temporary import in_a_file

_RECENT = 1 << 16
_MERGED_AT_ONCE = 1 << 16
_NO_PAYLOAD = np.dtype([])


class KeySet:
    """A growing set of keys: about 10 MB of memory, and 16 bytes per key in the temporary folder.

    New keys collect in a Python set; when it is full, they become a file of sorted keys. Files of
    similar size are merged, so that there are few of them. During a merge, the two files and the
    new one take space.
    """

    def __init__(self) -> None:
        self._recent: set[bytes] = set()
        self._files: list[SortedKeys] = []

    def __len__(self) -> int:
        return sum(map(len, self._files)) + len(self._recent)

    def __contains__(self, key: bytes) -> bool:
        return bool(self.has([key])[0])

    def has(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Return a mask of the keys that are present, `[n]`."""
        recent = np.array([key in self._recent for key in keys], bool)
        return recent | self._stored(keys)

    def add(self, keys: Sequence[bytes]) -> list[bool]:
        """Add keys; return True for each that is new, here and among the earlier `keys`.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        stored, distinct = self._stored(keys), set(keys)
        if len(distinct) == len(keys) and not stored.any() and self._recent.isdisjoint(distinct):
            new = [True] * len(keys)
            self._recent |= distinct
        else:
            new = [self._is_new(*key) for key in zip(keys, stored.tolist(), strict=True)]
        if len(self._recent) >= _RECENT:
            self._flush_recent()
        return new

    def add_new(self, high: UInt64, low: UInt64) -> None:
        """Add keys that are absent, `[n]` halves each.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        if len(high):
            self._store(high, low)

    def _stored(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """Return a mask of the keys that are in a file, `[n]`."""
        found = np.zeros(len(keys), bool)
        if self._files:
            high, low = halves_of(b"".join(keys))
            for file in self._files:
                found |= file.find(high, low) >= 0
        return found

    def _is_new(self, key: bytes, is_stored: bool) -> bool:
        """Add a key, and return True if it was absent."""
        if is_stored or key in self._recent:
            return False
        self._recent.add(key)
        return True

    def _flush_recent(self) -> None:
        self._store(*halves_of(b"".join(self._recent)))
        self._recent.clear()

    def _store(self, high: UInt64, low: UInt64) -> None:
        order = np.argsort(high)
        stored = _in_a_file(len(order), [(high[order], low[order])])
        while self._files and should_merge(stored, self._files[-1]):
            larger = self._files.pop()
            merged = len(larger) + len(stored)
            stored = _in_a_file(merged, _merged(larger, stored))
        self._files.append(stored)


def _merged(one: SortedKeys, other: SortedKeys) -> Iterator[tuple[UInt64, UInt64]]:
    """Yield the keys of both in order, one chunk at a time."""
    # Keys are hashes, so equal parts of their range hold about equally many keys.
    pieces = 1 + (len(one) + len(other)) // _MERGED_AT_ONCE
    bounds = np.array([2**64 // pieces * piece for piece in range(1, pieces)], np.uint64)
    for in_one, in_other in zip(_cut(one, bounds), _cut(other, bounds), strict=True):
        high = np.concatenate([one.high[in_one], other.high[in_other]])
        low = np.concatenate([one.low[in_one], other.low[in_other]])
        order = np.argsort(high)
        yield high[order], low[order]


def _cut(keys: SortedKeys, bounds: UInt64) -> Iterator[slice]:
    """Return the slices of the keys between consecutive bounds."""
    ends = [0, *np.searchsorted(keys.high, bounds).tolist(), len(keys)]
    return (slice(start, end) for start, end in pairwise(ends))


def _in_a_file(count: int, pieces: Iterable[tuple[UInt64, UInt64]]) -> SortedKeys:
    """Write keys, given in order and in chunks, to a file that disappears with the result."""

    def halves() -> Iterator[tuple[int, UInt64]]:
        written = 0
        for high, low in pieces:
            yield written, high
            yield count + written, low
            written += len(high)

    found = in_a_file("ids", 2 * count, halves())
    return SortedKeys(found[:count], found[count:], np.empty(count, _NO_PAYLOAD))
