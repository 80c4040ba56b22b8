"""Finds distinct and repeated texts by their hashes, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.keys.index import UInt64
from pipelines.keys.quick import quick_hashes
from pipelines.keys.temporary import NumbersFile

_MOST_HASHES = 1 << 19
"""Hashes in memory, 8 bytes each."""
_BLOCK = 1024
"""Hashes that are read at once."""
_PARTS = 256
_TO_FIRST_BYTE = np.uint64(56)


class DistinctCount:
    """Counts the distinct texts of growing columns: 8 MB of memory, 8 bytes per text on disk.

    With 10⁸ texts, the number is one too low with a probability of 3·10⁻⁴.
    """

    def __init__(self) -> None:
        self._hashes = SortedHashes()

    def add(self, texts: pa.Array, *, are_distinct: bool = False) -> None:
        """Add texts.

        Args:
            texts: an array of strings or binary values; nulls do not count.
            are_distinct: True if no text is there twice, which saves the search for repeats.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        found = quick_hashes(texts.drop_null())
        if not are_distinct:
            found = np.sort(found)
            found = found[_is_first(found)]
        self._hashes.add(found)

    def __len__(self) -> int:
        """Return the number of distinct texts; reads all files."""
        return sum(int(_is_first(part).sum()) for part in self._hashes.in_order())


class RepeatedHashes:
    """Finds the hashes that come more than once; memory and disk as in `DistinctCount`."""

    def __init__(self) -> None:
        self._hashes = SortedHashes()

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


class KnownHashes:
    """Hashes that can be looked up: 8 bytes each on disk, and 1 byte in memory for 128 of them.

    One thread at a time may look.

    Attributes:
        repeated: the hashes that came more than once, each once, sorted.
    """

    def __init__(self, hashes: SortedHashes) -> None:
        """Take all hashes.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        repeated: list[UInt64] = [np.empty(0, np.uint64)]
        firsts: list[UInt64] = [np.empty(0, np.uint64)]

        def pieces() -> Iterator[tuple[int, UInt64]]:
            place = 0
            for part in hashes.in_order():
                again = part[~_is_first(part)]
                repeated.append(again[_is_first(again)])
                firsts.append(part[-place % _BLOCK :: _BLOCK].copy())  # a view would keep the part
                yield place, part
                place += len(part)

        self._file = NumbersFile("ids", len(hashes), pieces())
        self.repeated, self._firsts = np.concatenate(repeated), np.concatenate(firsts)

    def has(self, hashes: UInt64) -> npt.NDArray[np.bool_]:
        """Return True for each known hash, `[n]`."""
        found = np.zeros(len(hashes), bool)
        blocks = np.searchsorted(self._firsts, hashes, side="right") - 1
        order = np.argsort(blocks)
        order = order[blocks[order] >= 0]  # others are below the least known hash
        bounds = np.flatnonzero(np.diff(blocks[order])) + 1
        for asked in np.split(order, bounds) if len(order) else ():
            start = _BLOCK * int(blocks[asked[0]])
            block = self._file.read(start, min(start + _BLOCK, len(self._file)))
            found[asked] = is_among(hashes[asked], block)
        return found


def is_among(hashes: UInt64, known: UInt64) -> npt.NDArray[np.bool_]:
    """Return True for each hash, `[n]`, that is among known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(hashes), bool)
    order = np.argsort(hashes)  # sorted queries keep the search in the processor's cache
    at = np.searchsorted(known, hashes[order]).clip(max=len(known) - 1)
    found = np.empty(len(hashes), bool)
    found[order] = known[at] == hashes[order]
    return found


class SortedHashes:
    """Hashes that wait in nameless temporary files and are read once, in order.

    A file holds them by their first byte: hashes are spread evenly, so that these parts are about
    equal, and each can be sorted alone.
    """

    def __init__(self) -> None:
        self._recent: list[UInt64] = []
        self._num_recent = 0
        self._files: list[tuple[NumbersFile, list[int]]] = []

    @classmethod
    def of(cls, hashes: Iterable[UInt64]) -> SortedHashes:
        """Return hashes that are given `[n]` at a time; raises as `add`."""
        found = cls()
        for some in hashes:
            found.add(some)
        return found

    def __len__(self) -> int:
        return sum(len(file) for file, _ in self._files) + self._num_recent

    def add(self, hashes: UInt64) -> None:
        """Add hashes, `[n]`.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        self._recent.append(hashes)
        self._num_recent += len(hashes)
        if self._num_recent >= _MOST_HASHES:
            parted, ends = self._parted_recent()
            self._files.append((NumbersFile("texts", len(parted), [(0, parted)]), ends))
            self._recent, self._num_recent = [], 0

    def in_order(self) -> Iterator[UInt64]:
        """Yield all hashes in order; equal ones are in one array."""
        recent, ends = self._parted_recent()
        for part in range(_PARTS):
            cut = [file.read(at[part], at[part + 1]) for file, at in self._files]
            yield np.sort(np.concatenate([*cut, recent[ends[part] : ends[part + 1]]]))

    def _parted_recent(self) -> tuple[UInt64, list[int]]:
        """Return the recent hashes by their first byte, and the bounds of these parts."""
        recent = np.concatenate([np.empty(0, np.uint64), *self._recent])
        part_of = (recent >> _TO_FIRST_BYTE).astype(np.uint8)
        ends = np.cumsum(np.bincount(part_of, minlength=_PARTS))
        return recent[np.argsort(part_of, kind="stable")], [0, *ends.tolist()]


def _is_first(hashes: UInt64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return True for the first of equal ones among sorted hashes, `[n]`."""
    found = np.ones(len(hashes), bool)
    found[1:] = hashes[1:] != hashes[:-1]
    return found
