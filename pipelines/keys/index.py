"""Row ids as 16-byte keys in numpy arrays: the driver's memory of 10⁷ to 10⁸ rows.

A key is a blake2b hash, not a faster, vectorised one, because ids come from untrusted users:
whoever can make two ids collide can make a row look done. Hashing takes about 0.6 µs per id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

KEY_BYTES = 16
_RECENT = 1 << 16
_RATIO = 4

UInt64 = npt.NDArray[np.uint64]


def row_key(row_id: str) -> bytes:
    """Return the 16-byte key of a row id."""
    return blake2b(row_id.encode(), digest_size=KEY_BYTES).digest()


def row_keys(row_ids: Iterable[bytes]) -> bytes:
    """Return the concatenated keys of row ids that are already UTF-8."""
    return b"".join([blake2b(row_id, digest_size=KEY_BYTES).digest() for row_id in row_ids])


def halves_of(keys: bytes) -> tuple[UInt64, UInt64]:
    """Split concatenated keys into two numbers each: `[n]` first 8 bytes, `[n]` last 8 bytes."""
    halves = np.frombuffer(keys, dtype=">u8").reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)


def keys_of(high: UInt64, low: UInt64) -> list[bytes]:
    """Join the halves of keys, `[n]` each, to single keys; the reverse of `halves_of`."""
    joined = np.stack([high, low], axis=1).astype(">u8").tobytes()
    return [joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES)]


@dataclass(frozen=True, slots=True, eq=False)
class SortedKeys:
    """Distinct keys with a payload each: 16 bytes per key, plus the payload.

    Attributes:
        high: `[n]`, first halves of the keys, sorted.
        low: `[n]`, second halves; unordered where the first halves are equal.
        payload: `[n]`, of any dtype.
    """

    high: UInt64
    low: UInt64
    payload: npt.NDArray[Any]

    @classmethod
    def sort(cls, high: UInt64, low: UInt64, payload: npt.NDArray[Any]) -> SortedKeys:
        """Sort keys that are given in any order."""
        order = np.argsort(high)
        return cls(high[order], low[order], payload[order])

    def __len__(self) -> int:
        return len(self.high)

    def merged_with(self, other: SortedKeys) -> SortedKeys:
        """Return the union with other keys; the two must be disjoint."""
        return SortedKeys.sort(
            np.concatenate([self.high, other.high]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.payload, other.payload]),
        )

    def find(self, high: UInt64, low: UInt64) -> npt.NDArray[np.int64]:
        """Return the position of each key, `[m]`; -1 if it is absent."""
        found = np.full(len(high), -1, np.int64)
        order = np.argsort(high)  # sorted queries keep the search in the processor's cache
        at = np.empty(len(high), np.int64)
        at[order] = np.searchsorted(self.high, high[order])
        asked = np.arange(len(high))
        # Keys with the same first half are adjacent and unordered: step through them.
        while len(asked):
            inside = at < len(self)
            at, asked = at[inside], asked[inside]
            same = self.high[at] == high[asked]
            at, asked = at[same], asked[same]
            hit = self.low[at] == low[asked]
            found[asked[hit]] = at[hit]
            at, asked = at[~hit] + 1, asked[~hit]
        return found


class LsmTable:
    """A growing table of keys, each with a small payload of fixed size; the latest payload wins.

    New keys collect in a dict; when it is full, they become a sorted array. Arrays of similar size
    are merged, so that there are few of them. Each key is in one place only.

    Args:
        dtype: dtype of the payload.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._levels: list[SortedKeys] = []
        self._recent: dict[bytes, int] = {}
        self._recent_payload = np.empty(_RECENT, self._dtype)

    def __len__(self) -> int:
        return sum(map(len, self._levels)) + len(self._recent)

    def get(self, keys: Sequence[bytes]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
        """Return a mask of the present keys, `[n]`, and the payloads, `[n]`, 0 where absent."""
        known = np.zeros(len(keys), bool)
        payload = np.zeros(len(keys), self._dtype)
        high, low = halves_of(b"".join(keys))
        for level in self._levels:
            at = level.find(high, low)
            known |= at >= 0
            payload[at >= 0] = level.payload[at[at >= 0]]
        slots = self._slots(keys)
        known |= slots >= 0
        payload[slots >= 0] = self._recent_payload[slots[slots >= 0]]
        return known, payload

    def put(self, keys: Sequence[bytes], payload: npt.NDArray[Any]) -> None:
        """Set the payload of each key, `[n]`; for a repeated key, the last one wins."""
        latest = {key: row for row, key in enumerate(keys)}
        keys, payload = list(latest), payload[list(latest.values())]
        high, low = halves_of(b"".join(keys))
        stored = np.zeros(len(keys), bool)
        for level in self._levels:
            at = level.find(high, low)
            level.payload[at[at >= 0]] = payload[at >= 0]
            stored |= at >= 0
        slots = self._slots(keys)
        self._recent_payload[slots[slots >= 0]] = payload[slots >= 0]
        stored |= slots >= 0
        new_rows = np.flatnonzero(~stored)
        self._insert([keys[index] for index in new_rows.tolist()], payload[new_rows])

    def _insert(self, keys: Sequence[bytes], payload: npt.NDArray[Any]) -> None:
        """Add keys that are absent and distinct."""
        for start in range(0, len(keys), _RECENT):
            chunk = keys[start : start + _RECENT]
            if len(self._recent) + len(chunk) > _RECENT:
                self._flush_recent()
            first = len(self._recent)
            self._recent.update(zip(chunk, range(first, first + len(chunk)), strict=True))
            self._recent_payload[first : first + len(chunk)] = payload[start : start + _RECENT]

    def _slots(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        return np.array([self._recent.get(key, -1) for key in keys], np.int64)

    def _flush_recent(self) -> None:
        high, low = halves_of(b"".join(self._recent))
        stored = SortedKeys.sort(high, low, self._recent_payload[: len(self._recent)])
        self._recent.clear()
        while self._levels and should_merge(stored, self._levels[-1]):
            stored = self._levels.pop().merged_with(stored)
        self._levels.append(stored)


def should_merge(smaller: SortedKeys, larger: SortedKeys) -> bool:
    """Return True if two arrays should be merged: then there are few, and each key moves rarely."""
    return len(larger) < _RATIO * len(smaller)
