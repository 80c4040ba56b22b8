"""Row ids as 16-byte keys, in numpy arrays: what the driver remembers of 10⁷ to 10⁸ rows.

A key is a blake2b hash and not a faster, vectorised one, because ids come from strangers: whoever
can make two ids collide can make a row look done. Hashing costs about 0.6 µs an id.
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
    """The 16-byte key of a row id."""
    return blake2b(row_id.encode(), digest_size=KEY_BYTES).digest()


def row_keys(row_ids: Iterable[bytes]) -> bytes:
    """The keys of row ids that are UTF-8 already, joined."""
    return b"".join([blake2b(row_id, digest_size=KEY_BYTES).digest() for row_id in row_ids])


def halves_of(keys: bytes) -> tuple[UInt64, UInt64]:
    """Keys, joined, as two numbers each: `[n]` of their first 8 bytes, `[n]` of their last."""
    halves = np.frombuffer(keys, dtype=">u8").reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class SortedKeys:
    """Keys with a payload each: 16 bytes a key, and the payload's size. No key is here twice.

    Attributes:
        high: `[n]`, the keys' first halves, sorted.
        low: `[n]`, their second halves; where the first are equal, in no order.
        payload: `[n]`, of any dtype.
    """

    high: UInt64
    low: UInt64
    payload: npt.NDArray[Any]

    @classmethod
    def sort(cls, high: UInt64, low: UInt64, payload: npt.NDArray[Any]) -> SortedKeys:
        """The same keys, given in any order."""
        order = np.argsort(high)
        return cls(high[order], low[order], payload[order])

    def __len__(self) -> int:
        return len(self.high)

    def merged_with(self, other: SortedKeys) -> SortedKeys:
        """These keys and others, none of which is here."""
        return SortedKeys.sort(
            np.concatenate([self.high, other.high]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.payload, other.payload]),
        )

    def find(self, high: UInt64, low: UInt64) -> npt.NDArray[np.int64]:
        """The position of each key, `[m]`; -1 where it is not here."""
        found = np.full(len(high), -1, np.int64)
        order = np.argsort(high)  # in order, the search stays in the processor's cache
        at = np.empty(len(high), np.int64)
        at[order] = np.searchsorted(self.high, high[order])
        asked = np.arange(len(high))
        # Keys with the same first half are neighbours, in no order: walk past them.
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
    """Keys with a small payload of fixed size each; grows, and the payload last put counts.

    New keys stay in a dict; when it is full they become a sorted array, and arrays are merged when
    their sizes come near each other, so that there are few of them. A key is in one place only.

    Args:
        dtype: of the payload.
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._levels: list[SortedKeys] = []
        self._recent: dict[bytes, int] = {}
        self._recent_payload = np.empty(_RECENT, self._dtype)

    def __len__(self) -> int:
        return sum(map(len, self._levels)) + len(self._recent)

    def get(self, keys: Sequence[bytes]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
        """Which keys are here, `[n]`, and their payloads, `[n]`, zero where they are not."""
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
        """Give each key its payload, `[n]`; of a repeated key the last one counts."""
        latest = {key: row for row, key in enumerate(keys)}
        keys, payload = list(latest), payload[list(latest.values())]
        high, low = halves_of(b"".join(keys))
        settled = np.zeros(len(keys), bool)
        for level in self._levels:
            at = level.find(high, low)
            level.payload[at[at >= 0]] = payload[at >= 0]
            settled |= at >= 0
        slots = self._slots(keys)
        self._recent_payload[slots[slots >= 0]] = payload[slots >= 0]
        settled |= slots >= 0
        unsettled = np.flatnonzero(~settled)
        self._insert([keys[index] for index in unsettled.tolist()], payload[unsettled])

    def _insert(self, keys: Sequence[bytes], payload: npt.NDArray[Any]) -> None:
        """Add keys that are not here and do not repeat."""
        for start in range(0, len(keys), _RECENT):
            some = keys[start : start + _RECENT]
            if len(self._recent) + len(some) > _RECENT:
                self._settle_recent()
            first = len(self._recent)
            self._recent.update(zip(some, range(first, first + len(some)), strict=True))
            self._recent_payload[first : first + len(some)] = payload[start : start + _RECENT]

    def _slots(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        return np.array([self._recent.get(key, -1) for key in keys], np.int64)

    def _settle_recent(self) -> None:
        high, low = halves_of(b"".join(self._recent))
        settled = SortedKeys.sort(high, low, self._recent_payload[: len(self._recent)])
        self._recent.clear()
        while self._levels and should_merge(settled, self._levels[-1]):
            settled = self._levels.pop().merged_with(settled)
        self._levels.append(settled)


def should_merge(smaller: SortedKeys, larger: SortedKeys) -> bool:
    """Whether two arrays are to be merged, so that there are few and each key moves rarely."""
    return len(larger) < _RATIO * len(smaller)
